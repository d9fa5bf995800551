-- Why judgments failed, by judge: the first line of what is kept of them, up to a colon (what follows is the case's own).
-- Those of one name and several kinds are told apart by the kind.
WITH failures AS (
    SELECT
        annotator_id, kind, coalesce(nullif(trim(regexp_extract(raw, '^[^:\n]*')), ''), 'failed') AS reason, count(*) AS failed
    FROM judgments
    WHERE outcome = 'failed'
    GROUP BY ALL
)
SELECT
    CASE WHEN min(kind) OVER same = max(kind) OVER same THEN annotator_id ELSE annotator_id || ' (' || kind || ')' END AS judge,
    reason, failed
FROM failures
WINDOW same AS (PARTITION BY annotator_id)
ORDER BY failed DESC, judge, reason
