-- Pairs of which it is decided which response is better. $1: aggregate (the final labels) or people (their verdicts).
WITH people AS (
    SELECT
        prompt_id, response_a, response_b,
        count(*) FILTER (outcome = 'a') AS for_a, count(*) FILTER (outcome = 'b') AS for_b
    FROM human_judgments
    WHERE form = 'pairwise'
    GROUP BY ALL
),
labels AS (
    SELECT prompt_id, response_a, response_b, outcome
    FROM final_preferences
    WHERE $1 = 'aggregate' AND outcome IN ('a', 'b') AND status NOT IN ('discarded', 'routed')
    UNION ALL
    SELECT prompt_id, response_a, response_b, if(for_a > for_b, 'a', 'b') FROM people WHERE $1 = 'people' AND for_a <> for_b
)
SELECT
    labels.prompt_id, prompts.messages AS prompt,
    better.response_id AS better_id, better.messages AS better, worse.response_id AS worse_id, worse.messages AS worse
FROM labels
JOIN prompts USING (prompt_id)
JOIN responses AS better ON better.response_id = if(outcome = 'a', response_a, response_b)
JOIN responses AS worse ON worse.response_id = if(outcome = 'a', response_b, response_a)
WHERE NOT EXISTS (
    FROM dropped_by_filter WHERE item_id IN (labels.prompt_id, labels.response_a, labels.response_b)
)
ORDER BY labels.prompt_id, response_a, response_b
