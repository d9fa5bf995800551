-- What has been measured of a model since it was trained. $1 names of the model, $2 start of its training.
WITH measured AS (
    SELECT run_id, max(finished_at) AS measured_at FROM runs WHERE started_at >= $2 GROUP BY run_id
)
SELECT benchmark, subset, metric, value, low, high, n, measured_at
FROM evaluations
JOIN measured USING (run_id)
WHERE subject IN (SELECT unnest($1::VARCHAR[]))
ORDER BY benchmark, subset <> 'all', subset, metric
