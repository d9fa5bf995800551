-- Who made the tables: the newest run of each stage.
SELECT
    stage, count(DISTINCT run_id) AS runs, arg_max(run_id, (snapshot_in, finished_at)) AS run_id,
    arg_max(code_version, (snapshot_in, finished_at)) AS code_version, arg_max(config_hash, (snapshot_in, finished_at)) AS config_hash,
    min(started_at) AS first, max(finished_at) AS last
FROM runs
GROUP BY stage
ORDER BY min(started_at), stage
