-- The newest certificate of these labels: its hash and the snapshot that it is about.
SELECT json_extract_string(details, '$.hash') AS hash, json_extract(details, '$.snapshot')::BIGINT AS snapshot
FROM runs
WHERE stage = 'certify' AND status = 'done'
ORDER BY snapshot_in DESC, finished_at DESC
LIMIT 1
