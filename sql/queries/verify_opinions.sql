-- Each judge's mean vote, 1 (a) … -1 (b), on the pairs of the relation `pool`; people are left out.
SELECT
    pair, annotator_id, any_value(kind) AS kind,
    avg(CASE outcome WHEN 'a' THEN 1.0 WHEN 'b' THEN -1.0 ELSE 0.0 END) AS opinion, avg(p_a) AS p_a
FROM pairwise_statements JOIN pool USING (prompt_id, response_a, response_b)
WHERE kind <> 'human' AND outcome IN ('a', 'b', 'tie')
GROUP BY pair, annotator_id
ORDER BY annotator_id, pair
