-- Verdicts on criteria by criterion, response and annotator, samples averaged; only the newest revision of each annotator
-- counts, by the run that asked last. `failed`: 1 where no attempt was answered.
WITH asked AS (
    SELECT verdicts.*, runs.started_at
    FROM criterion_verdicts AS verdicts
    LEFT JOIN (SELECT run_id, min(started_at) AS started_at FROM runs GROUP BY run_id) AS runs USING (run_id)
),
newest AS (
    SELECT annotator_id, kind, criterion_id, arg_max(revision, coalesce(started_at, '')) AS revision
    FROM asked
    GROUP BY ALL
)
SELECT
    criterion_id, response_id, annotator_id, kind,
    avg(CASE
        WHEN outcome = 'satisfied' THEN coalesce(p_satisfied, 1) WHEN outcome = 'violated' THEN coalesce(p_satisfied, 0)
    END) AS satisfied,
    CAST(bool_and(outcome = 'failed') AS INTEGER) AS failed
FROM asked
SEMI JOIN newest USING (annotator_id, kind, criterion_id, revision)
GROUP BY ALL
ORDER BY ALL
