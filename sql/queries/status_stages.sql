-- What became of every row that a stage was given, over all its runs, and whether that adds up.
SELECT
    stage, part,
    sum(rows_in)::BIGINT AS rows_in, sum(rows_kept)::BIGINT AS kept,
    sum(rows_duplicate)::BIGINT AS duplicates, sum(rows_dropped)::BIGINT AS dropped,
    sum(rows_in) = sum(rows_kept) + sum(rows_duplicate) + sum(rows_dropped) AS reconciles
FROM runs
GROUP BY stage, part
ORDER BY min(started_at), part
