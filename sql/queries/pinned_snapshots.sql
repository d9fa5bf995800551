-- Snapshots that an export was made from: it can be made again only while they are kept.
SELECT DISTINCT coalesce(CAST(json_extract(details, '$.snapshot') AS BIGINT), snapshot_in) AS snapshot
FROM runs
WHERE stage = 'export'
