-- Whose statements about a pair differ between two states, and how: `votes_before` against `votes_after`.
SELECT
    prompt_id, response_a, response_b, annotator_id,
    CASE
        WHEN coalesce(after.kind, before.kind) = 'human' THEN 'people'
        WHEN before.annotator_id IS NULL THEN 'new votes'
        WHEN after.annotator_id IS NULL THEN 'votes gone'
        WHEN before.revision <> after.revision THEN 'judge revision'
        WHEN len(list_filter(after.statements, lambda id: NOT list_contains(before.statements, id))) > 0 THEN 'new votes'
        ELSE 'votes gone'
    END AS reason
FROM votes_before AS before
FULL JOIN votes_after AS after USING (prompt_id, response_a, response_b, annotator_id)
WHERE before.statements IS DISTINCT FROM after.statements
ORDER BY ALL
