-- The lake's history; `run` is the stage run that made the snapshot.
SELECT
    snapshots.snapshot_id AS snapshot, strftime(snapshot_time, '%Y-%m-%d %H:%M:%S') AS "time (UTC)",
    coalesce(any_value(runs.stage), any_value(snapshots.commit_message), '') AS made_by
FROM lake.snapshots() AS snapshots
LEFT JOIN runs ON runs.run_id = snapshots.commit_message
GROUP BY ALL
ORDER BY snapshot
