-- The newest score of each subject on each benchmark.
SELECT
    benchmark, subset, metric, subject, arg_max(value, coalesce(place, (-1, ''))) AS value,
    arg_max(low, coalesce(place, (-1, ''))) AS low, arg_max(high, coalesce(place, (-1, ''))) AS high,
    arg_max(n, coalesce(place, (-1, ''))) AS n
FROM evaluations
LEFT JOIN (SELECT run_id, max((snapshot_in, finished_at)) AS place FROM runs GROUP BY run_id) USING (run_id)
GROUP BY benchmark, subset, metric, subject
ORDER BY benchmark, subset IN ('all', '') DESC, subset, metric, value DESC, subject
