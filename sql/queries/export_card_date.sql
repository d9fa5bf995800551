-- When a snapshot was made, as a date in UTC. $1 snapshot.
SELECT strftime(snapshot_time, '%Y-%m-%d') FROM lake.snapshots() WHERE snapshot_id = $1
