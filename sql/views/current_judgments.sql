-- What each annotator says now: a judge that finished a run speaks with the revision of its newest finished run,
-- everyone else (people, imports, a judge that has not finished yet) with all there is.
CREATE OR REPLACE TEMP VIEW current_judgments AS
WITH finished AS (
    SELECT part AS annotator_id, arg_max(json_extract_string(details, '$.revision'), finished_at) AS revision
    FROM lake.runs
    WHERE stage = 'judge' AND status = 'done' AND json_extract_string(details, '$.revision') IS NOT NULL
    GROUP BY part
)
SELECT judgments.*
FROM lake.judgments
LEFT JOIN finished USING (annotator_id)
WHERE finished.revision IS NULL OR judgments.revision IN (finished.revision, 'imported')
