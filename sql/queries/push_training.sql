-- The newest record of the training that made a model. $1 fingerprint of the model.
SELECT part, rows_kept, rows_dropped, snapshot_in, started_at, finished_at
FROM runs
WHERE stage = 'train' AND status = 'done' AND fingerprint = $1
ORDER BY finished_at DESC
LIMIT 1
