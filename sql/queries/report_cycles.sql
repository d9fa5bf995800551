-- How many prompts had contradictions before denoising, at each iteration: from the newest run on each.
SELECT
    part,
    arg_max(CAST(json_extract(details, '$.prompts') AS BIGINT), (snapshot_in, finished_at)) AS prompts,
    arg_max(CAST(json_extract(details, '$.cyclic_before') AS BIGINT), (snapshot_in, finished_at)) AS before,
    arg_max(CAST(json_extract(details, '$.cyclic_after') AS BIGINT), (snapshot_in, finished_at)) AS after,
    arg_max(CAST(json_extract(details, '$.ties') AS BIGINT), (snapshot_in, finished_at)) AS ties
FROM runs
WHERE stage = 'aggregate' AND status = 'done' AND json_extract(details, '$.cyclic_before') IS NOT NULL
GROUP BY part
ORDER BY part
