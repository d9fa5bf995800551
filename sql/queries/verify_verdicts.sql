-- People's verdicts on pairs as they stand, oldest version of a repeated question first; skipped ones have no `verdict`.
SELECT
    annotator_id, prompt_id, response_a, response_b, human.judgment_id,
    CASE outcome WHEN 'b' THEN 0 WHEN 'tie' THEN 1 WHEN 'a' THEN 2 END AS verdict,
    nullif(seconds, 0) AS seconds,
    coalesce(
        CASE WHEN json_valid(prompts.meta) THEN json_extract_string(prompts.meta, '$.category') END, prompts.source
    ) AS category,
    EXISTS (
        FROM lake.verify_tasks
        WHERE purpose = 'gold' AND verify_tasks.prompt_id = human.prompt_id
            AND responses = [human.response_a, human.response_b]
    ) AS gold
FROM human_judgments AS human JOIN lake.prompts AS prompts USING (prompt_id)
WHERE form = 'pairwise'
ORDER BY annotator_id, prompt_id, response_a, response_b, judgment_id
