-- What ran, newest first: one line per run and stage. `failed`: answers of the run that failed; `snapshot`: the lake as
-- the run left it, null where `curate gc` has forgotten it. A run without a closing chunk was cut off, or is at work.
WITH made AS (
    SELECT commit_message AS run_id, max(snapshot_id) AS snapshot FROM lake.snapshots() WHERE commit_message IS NOT NULL GROUP BY ALL
),
failures AS (SELECT run_id, count(*) AS failed FROM judgments WHERE outcome = 'failed' GROUP BY run_id)
SELECT
    runs.run_id, stage, min(started_at) AS started, max(finished_at) AS finished, sum(seconds) AS seconds,
    count(*) AS chunks, list_sort(list(DISTINCT part)) AS parts,
    sum(rows_in)::BIGINT AS rows_in, sum(rows_kept)::BIGINT AS rows_kept, sum(rows_duplicate)::BIGINT AS rows_duplicate,
    sum(rows_dropped)::BIGINT AS rows_dropped, coalesce(any_value(failed), 0)::BIGINT AS failed,
    sum(tokens_in)::BIGINT AS tokens_in, sum(tokens_out)::BIGINT AS tokens_out, sum(cost) AS cost,
    CASE WHEN bool_or(status = 'failed') THEN 'failed' WHEN bool_or(status = 'done') THEN 'done' ELSE 'unfinished' END
        AS status,
    any_value(snapshot) AS snapshot, any_value(code_version) AS code_version, any_value(config_hash) AS config_hash
FROM runs
LEFT JOIN made USING (run_id)
LEFT JOIN failures USING (run_id)
WHERE starts_with(runs.run_id, $1) AND ($2 IS NULL OR stage = $2)
GROUP BY runs.run_id, stage
ORDER BY started DESC, runs.run_id
LIMIT $3
