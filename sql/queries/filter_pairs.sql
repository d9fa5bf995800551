-- Pairs with the verdict of most annotators as a whole (1 a, -1 b), of each of them, and of most in each aspect, as
-- filters read them. The table `aspect_votes` has what annotators say.
WITH verdicts AS (
    SELECT
        prompt_id, response_a, response_b, aspect, sign(sum(verdict))::BIGINT AS verdict,
        list(annotator_id ORDER BY annotator_id) AS annotators, list(verdict ORDER BY annotator_id) AS votes
    FROM aspect_votes
    GROUP BY prompt_id, response_a, response_b, aspect
)
SELECT
    response_a || ' ' || response_b AS pair_id, verdicts.prompt_id, prompts.source,
    CASE WHEN json_valid(prompts.meta) THEN json_extract_string(prompts.meta, '$.category') END AS category,
    coalesce(max(verdict) FILTER (aspect = ''), 0) AS whole,
    list(aspect ORDER BY aspect) FILTER (aspect <> '') AS aspects,
    list(verdict ORDER BY aspect) FILTER (aspect <> '') AS verdicts,
    any_value(annotators) FILTER (aspect = '') AS annotators, any_value(votes) FILTER (aspect = '') AS votes,
    any_value(a.model) AS model_a, any_value(b.model) AS model_b
FROM verdicts
JOIN prompts USING (prompt_id)
LEFT JOIN responses AS a ON a.response_id = response_a
LEFT JOIN responses AS b ON b.response_id = response_b
WHERE verdicts.prompt_id NOT IN (SELECT item_id FROM dropped_items)
    AND response_a NOT IN (SELECT item_id FROM dropped_items) AND response_b NOT IN (SELECT item_id FROM dropped_items)
    AND response_a || ' ' || response_b NOT IN (SELECT item_id FROM dropped_items)
GROUP BY verdicts.prompt_id, response_a, response_b, prompts.source, prompts.meta
ORDER BY verdicts.prompt_id, response_a, response_b
