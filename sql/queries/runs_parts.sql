-- The parts of runs (source files, judges, label sets, exports …), in their order, with why rows were dropped.
SELECT
    stage, part, min(started_at) AS started, sum(seconds) AS seconds, count(*) AS chunks,
    sum(rows_in)::BIGINT AS rows_in, sum(rows_kept)::BIGINT AS rows_kept, sum(rows_duplicate)::BIGINT AS rows_duplicate,
    sum(rows_dropped)::BIGINT AS rows_dropped, sum(tokens_in)::BIGINT AS tokens_in, sum(tokens_out)::BIGINT AS tokens_out,
    sum(cost) AS cost, max(status) AS status, max_by(details, chunk) AS details
FROM runs
WHERE starts_with(run_id, $1)
GROUP BY ALL
ORDER BY started, part
