-- What became of the rows of each part of each stage. Stages that add rows count every run;
-- those that make their result anew count the newest work on each part only.
WITH newest AS (
    SELECT stage, part, arg_max(fingerprint, (snapshot_in, finished_at)) AS fingerprint
    FROM runs
    GROUP BY stage, part
)
SELECT
    stage, part, sum(rows_in)::BIGINT AS rows_in, sum(rows_kept)::BIGINT AS kept,
    sum(rows_duplicate)::BIGINT AS duplicates, sum(rows_dropped)::BIGINT AS dropped, round(sum(seconds), 6) AS seconds,
    sum(tokens_in)::BIGINT AS tokens_in, sum(tokens_out)::BIGINT AS tokens_out, round(sum(cost), 9) AS cost
FROM runs
JOIN newest USING (stage, part)
WHERE stage IN ('ingest', 'generate', 'judge', 'verify') OR runs.fingerprint = newest.fingerprint
GROUP BY stage, part
ORDER BY min(started_at), stage, part
