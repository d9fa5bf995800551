-- One vote per pair, annotator and order shown: the mean of what the annotator said (its samples) there.
-- Abstentions and failures are not votes. The relation `panel` (annotator_id, revision) says whose judgments count.
SELECT
    prompt_id, response_a, response_b, annotator_id,
    CASE shown WHEN 'ab' THEN 1 WHEN 'ba' THEN -1 ELSE 0 END::TINYINT AS shown,
    avg(coalesce(p_a, CASE outcome WHEN 'a' THEN 1.0 WHEN 'b' THEN 0.0 ELSE 0.5 END))::FLOAT AS p_a
FROM judgments SEMI JOIN panel USING (annotator_id, revision)
WHERE form = 'pairwise' AND outcome IN ('a', 'b', 'tie')
GROUP BY ALL
ORDER BY ALL
