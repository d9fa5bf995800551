-- Every trained reward model that has judged, by its name ($1): what it says of the pairs that people have judged.
-- `calls`: the neighbours that the pairs it gets wrong call for.
WITH gold AS (
    SELECT prompt_id, response_a, response_b,
        avg(CASE outcome WHEN 'a' THEN 1.0 WHEN 'b' THEN -1.0 ELSE 0.0 END) AS verdict
    FROM human_judgments
    WHERE form = 'pairwise' AND outcome IN ('a', 'b', 'tie')
    GROUP BY ALL
    HAVING verdict <> 0
), said AS (
    SELECT revision, prompt_id, response_a, response_b, avg(p_a) AS p_a, max(snapshot_in) AS snapshot_in
    FROM model_pairs JOIN (SELECT run_id, max(snapshot_in) AS snapshot_in FROM runs GROUP BY run_id) USING (run_id)
    WHERE annotator_id = $1 AND revision <> 'imported'
    GROUP BY ALL
)
SELECT
    revision, count(*) AS pairs, count(verdict) AS gold,
    count(*) FILTER ((p_a - 0.5) * verdict > 0) AS agrees,
    coalesce(sum(CASE
        WHEN verdict IS NULL THEN 0
        WHEN (p_a - 0.5) * verdict <= 0 THEN 8
        ELSE ceil(8 * (1 - if(verdict > 0, p_a, 1 - p_a)))
    END), 0)::BIGINT AS calls, max(snapshot_in) AS snapshot_in
FROM said LEFT JOIN gold USING (prompt_id, response_a, response_b)
GROUP BY revision
ORDER BY revision
