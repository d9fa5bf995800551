-- What the newest aggregation of the last iteration says against its own labels, one sentence a row.
SELECT unnest(from_json(coalesce(json_extract(arg_max(details, (snapshot_in, finished_at)), '$.doubts'), '[]'), '["VARCHAR"]'))
FROM runs
WHERE
    stage = 'aggregate' AND status = 'done'
    AND part = (
        SELECT max(part) FROM runs
        WHERE stage = 'aggregate' AND status = 'done' AND part <= 'iteration-' || (SELECT iteration FROM final_iteration)
    )
