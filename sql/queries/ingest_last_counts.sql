-- Rows that came in and rows that were of use, of the last work on an input.
SELECT COALESCE(sum(rows_in), 0), COALESCE(sum(rows_kept + rows_duplicate), 0)
FROM runs
WHERE
    stage = 'ingest' AND part = ?
    AND fingerprint = (
        SELECT arg_max(fingerprint, finished_at) FROM runs WHERE stage = 'ingest' AND part = ?
    )
