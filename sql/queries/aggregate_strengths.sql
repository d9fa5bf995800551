-- How much better people called one response of a pair: 1 slightly, 2, 3 much, by annotator.
SELECT response_a, response_b, coalesce(name, annotator_id) AS name, avg(abs(score)) AS strength
FROM current_judgments
LEFT JOIN renamed USING (annotator_id, kind)
WHERE kind = 'human' AND form = 'pairwise' AND asked_as = 'pairwise' AND outcome IN ('a', 'b') AND score IS NOT NULL
GROUP BY ALL
