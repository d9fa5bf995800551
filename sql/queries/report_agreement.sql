-- Of the pairs that two annotators both decided, the share that they decided alike. An annotator's verdict on a
-- pair is what most of its statements say. $1 takes one pair in so many; $2 how many annotators (those who said most).
WITH loudest AS (SELECT annotator_id FROM votes GROUP BY annotator_id ORDER BY count(*) DESC, annotator_id LIMIT $2),
verdicts AS (
    SELECT annotator_id, pair, sign(count(*) FILTER (outcome = 'a') - count(*) FILTER (outcome = 'b')) AS verdict
    FROM votes
    SEMI JOIN loudest USING (annotator_id)
    WHERE pair % $1 = 0 AND outcome IN ('a', 'b')
    GROUP BY annotator_id, pair
    HAVING verdict <> 0
)
SELECT
    x.annotator_id AS one, y.annotator_id AS other, count(*) AS pairs,
    count(*) FILTER (x.verdict = y.verdict) AS alike
FROM verdicts AS x
JOIN verdicts AS y ON x.pair = y.pair AND x.annotator_id < y.annotator_id
GROUP BY one, other
ORDER BY one, other
