-- What has been measured of a model since it was trained. $1 names of the model, $2 start of its training.
SELECT benchmark, subset, metric, value, low, high, n, max(runs.finished_at) AS measured_at
FROM evaluations
JOIN runs USING (run_id)
WHERE subject IN (SELECT unnest($1::VARCHAR[])) AND runs.started_at >= $2
GROUP BY ALL
ORDER BY benchmark, subset <> 'all', subset, metric
