-- Why the panel's judgments failed, by judge: the first line of what is kept of each, up to a colon (what follows is
-- the case's own), and the beginning of one answer that came with it.
WITH said AS (
    SELECT annotator_id, outcome = 'failed' AS failed, coalesce(raw, '') AS raw, count(*) OVER (PARTITION BY annotator_id) AS judgments
    FROM current_judgments
)
SELECT
    annotator_id, coalesce(nullif(trim(regexp_extract(raw, '^[^:\n]*')), ''), 'failed') AS reason,
    count(*) AS failed, any_value(judgments) AS judgments,
    min(nullif(left(trim(regexp_replace(raw, '^[^\n]*\n?', '')), 200), '')) AS example
FROM said
WHERE failed
GROUP BY annotator_id, reason
ORDER BY annotator_id, failed DESC, reason
