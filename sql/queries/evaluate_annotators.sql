-- Each annotator's word on each pair of `gold_pairs` (prompt_id, a, b): the mean, over all that it said of the pair
-- (both orders, all samples), of its probability that a is better. An abstention or a failure says nothing.
SELECT
    annotator_id AS subject, any_value(kind) AS kind, gold_pairs.prompt_id, a, b,
    avg(coalesce(p_a, CASE outcome WHEN 'a' THEN 1.0 WHEN 'b' THEN 0.0 ELSE 0.5 END)) AS p
FROM pairwise_statements
JOIN gold_pairs ON response_a = a AND response_b = b AND pairwise_statements.prompt_id = gold_pairs.prompt_id
WHERE outcome IN ('a', 'b', 'tie')
GROUP BY annotator_id, gold_pairs.prompt_id, a, b
ORDER BY ALL
