-- What was made of rows that have been forgotten since, and has not been made again.
WITH uses AS (
    SELECT
        part AS forgotten,
        unnest(from_json(json_extract(details, '$.uses'), '[{"kind": "VARCHAR", "name": "VARCHAR", "snapshot": "BIGINT"}]')) AS use
    FROM runs
    WHERE stage = 'forget' AND status = 'chunk'
),
newest AS (
    SELECT
        CASE stage WHEN 'export' THEN 'export' WHEN 'train' THEN 'model' ELSE 'certificate' END AS kind, part AS name,
        arg_max(coalesce(CAST(json_extract(details, '$.snapshot') AS BIGINT), snapshot_in), snapshot_in) AS snapshot
    FROM runs
    WHERE stage IN ('export', 'train', 'certify') AND status = 'done'
    GROUP BY ALL
)
SELECT use.kind AS kind, use.name AS name, use.snapshot AS snapshot, string_agg(DISTINCT forgotten, ', ' ORDER BY forgotten) AS forgotten
FROM uses
JOIN newest ON newest.kind = use.kind AND newest.name = use.name AND newest.snapshot = use.snapshot
GROUP BY ALL
ORDER BY ALL
