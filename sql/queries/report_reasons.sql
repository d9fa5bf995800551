-- Why rows were dropped, per stage: the same runs as report_flow counts.
WITH newest AS (
    SELECT stage, part, arg_max(fingerprint, (snapshot_in, finished_at)) AS fingerprint
    FROM runs
    GROUP BY stage, part
),
reasons AS (
    SELECT runs.stage, started_at, unnest(map_entries(from_json(json_extract(details, '$.dropped'), '"MAP(VARCHAR, BIGINT)"'))) AS entry
    FROM runs
    JOIN newest USING (stage, part)
    WHERE stage IN ('ingest', 'generate', 'judge', 'verify') OR runs.fingerprint = newest.fingerprint
)
SELECT stage, entry.key AS reason, sum(entry.value)::BIGINT AS number
FROM reasons
GROUP BY stage, reason
HAVING number > 0
ORDER BY min(min(started_at)) OVER (PARTITION BY stage), stage, number DESC, reason
