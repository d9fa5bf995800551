-- The newest score of each subject on each benchmark.
SELECT
    benchmark, subset, metric, subject, arg_max(value, coalesce(finished_at, '')) AS value,
    arg_max(low, coalesce(finished_at, '')) AS low, arg_max(high, coalesce(finished_at, '')) AS high,
    arg_max(n, coalesce(finished_at, '')) AS n
FROM evaluations
LEFT JOIN (SELECT run_id, max(finished_at) AS finished_at FROM runs GROUP BY run_id) USING (run_id)
GROUP BY benchmark, subset, metric, subject
ORDER BY benchmark, subset IN ('all', '') DESC, subset, metric, value DESC, subject
