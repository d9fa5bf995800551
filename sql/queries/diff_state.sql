-- Which label set is the final one, and the aggregation that made it: its settings and its version of curate.
SELECT
    (SELECT iteration FROM final_iteration) AS iteration,
    (SELECT count(*) FROM final_preferences) AS labels,
    (SELECT any_value(run_id) FROM final_preferences) AS run_id,
    (SELECT list(struct_pack(s := stratum, t := threshold) ORDER BY stratum)::VARCHAR FROM guarantees
        WHERE iteration = (SELECT assessed FROM final_iteration)) AS guarantees,
    max_by(config_hash, (snapshot_in, finished_at)) AS config_hash,
    max_by(code_version, (snapshot_in, finished_at)) AS code_version,
    max_by(json_extract(details, '$.settings')::VARCHAR, (snapshot_in, finished_at)) AS settings
FROM runs
WHERE stage = 'aggregate' AND status = 'done' AND part = 'iteration-' || (SELECT assessed FROM final_iteration)
