-- Whose judgments count: everything imported or by people, and each judge of the list in its newest revision:
-- the newest by the lake's snapshots, since a clock may have been wrong.
WITH newest AS (
    SELECT part AS annotator_id, max_by(json_extract_string(details, '$.revision'), (snapshot_in, finished_at)) AS revision
    FROM runs
    WHERE stage = 'judge' AND status = 'done'
    GROUP BY part
)
SELECT annotator_id, revision FROM newest WHERE annotator_id IN (SELECT unnest(?::VARCHAR[])) AND revision IS NOT NULL
UNION
SELECT annotator_id, revision FROM judgments GROUP BY ALL HAVING revision = 'imported' OR bool_or(kind = 'human')
ORDER BY ALL
