-- What the panel says of the pairs of some prompts (`changed_prompts`), by annotator: its revision and its statements.
SELECT
    prompt_id, response_a, response_b, annotator_id, kind, min(revision) AS revision,
    list_sort(list(statement_id)) AS statements
FROM pairwise_statements
SEMI JOIN changed_prompts USING (prompt_id)
WHERE outcome NOT IN ('abstain', 'failed')
GROUP BY ALL
