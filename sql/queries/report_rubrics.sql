-- The newest rubric of each name, rubrics for one prompt left out, with its criteria as JSON.
WITH dated AS (
    SELECT rubrics.*, coalesce(started_at, '') AS started_at
    FROM rubrics
    LEFT JOIN (SELECT run_id, min(started_at) AS started_at FROM runs GROUP BY run_id) AS runs USING (run_id)
    WHERE prompt_id IS NULL
),
ranked AS (
    SELECT *, row_number() OVER (PARTITION BY "name" ORDER BY started_at DESC, revision) AS place FROM dated
)
SELECT "name", version, about, aspect, origin, revision, CAST(to_json(criteria) AS VARCHAR) AS criteria, details
FROM ranked
WHERE place = 1
ORDER BY "name"
