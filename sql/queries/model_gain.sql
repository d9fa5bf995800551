-- What the newest aggregation with the trained model measured of it: mean and standard error.
SELECT json_extract(details, '$.model_gain.mean')::DOUBLE, json_extract(details, '$.model_gain.error')::DOUBLE
FROM runs
WHERE stage = 'aggregate' AND status = 'done' AND part = 'iteration-1'
ORDER BY snapshot_in DESC, finished_at DESC
LIMIT 1
