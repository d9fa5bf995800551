-- The last stage runs, newest first. A run without a closing chunk was cut off (or is still at work).
SELECT
    stage, min(started_at) AS started, sum(seconds) AS seconds, count(*) AS chunks,
    sum(rows_in)::BIGINT AS rows_in, sum(rows_kept)::BIGINT AS kept,
    sum(tokens_in)::BIGINT AS tokens_in, sum(tokens_out)::BIGINT AS tokens_out,
    CASE WHEN bool_or(status = 'failed') THEN 'failed' WHEN bool_or(status = 'done') THEN 'done' ELSE 'unfinished' END
        AS status
FROM runs
GROUP BY run_id, stage
ORDER BY started DESC
LIMIT 8
