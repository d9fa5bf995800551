-- The labels of every iteration on the pairs of `gold_pairs` (prompt_id, a, b).
SELECT
    format('ensemble, iteration {}', iteration) AS subject, gold_pairs.prompt_id, a, b,
    CASE outcome WHEN 'a' THEN 1.0 WHEN 'b' THEN 0.0 ELSE 0.5 END AS p,
    status IN ('accepted', 'verified', 'flipped') AS accepted
FROM preferences
JOIN gold_pairs ON preferences.prompt_id = gold_pairs.prompt_id AND response_a = a AND response_b = b
ORDER BY ALL
