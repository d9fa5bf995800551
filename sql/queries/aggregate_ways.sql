-- Every way in which the panel says anything about a pair, hashed as in aggregate_judgments.sql. `outcome`: 2 says nothing,
-- 3 is no outcome; `name`: of the annotator, each its own. What ratings and lists say of a pair follows from them, so it may be anything.
WITH ways AS (
    SELECT form = 'pairwise' AS is_pairwise, annotator_id, revision, kind, outcome, shown
    FROM spoken
    SEMI JOIN panel USING (annotator_id, revision)
)
SELECT
    coalesce(name, annotator_id) AS name, hash(annotator_id, revision, kind, outcome, shown) AS hash, kind = 'human' AS human,
    CASE outcome WHEN 'a' THEN 1 WHEN 'b' THEN -1 WHEN 'tie' THEN 0 WHEN 'abstain' THEN 2 WHEN 'failed' THEN 2 ELSE 3 END::TINYINT
        AS outcome,
    CASE shown WHEN 'ab' THEN 1 WHEN 'ba' THEN -1 ELSE 0 END::TINYINT AS shown
FROM (
    FROM ways WHERE is_pairwise
    UNION
    SELECT true, annotator_id, revision, kind, outcomes.outcome, orders.shown
    FROM ways, (VALUES ('a'), ('b'), ('tie')) AS outcomes(outcome), (VALUES ('ab'), ('ba'), (NULL)) AS orders(shown)
    WHERE NOT is_pairwise
)
LEFT JOIN renamed USING (annotator_id, kind)
ORDER BY 1
