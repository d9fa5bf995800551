-- What people say now: their judgments without those that a later one supersedes. `details`: what the answer to a
-- question of the queue keeps beside its columns; `task`: that question. Null where there is none, as in imports.
CREATE OR REPLACE TEMP VIEW human_judgments AS
SELECT *, CASE WHEN json_valid(raw) THEN CAST(raw AS JSON) END AS details, details->>'task' AS task
FROM lake.judgments
WHERE kind = 'human' AND aspect IS NULL
    AND judgment_id NOT IN (SELECT supersedes FROM lake.judgments WHERE supersedes IS NOT NULL);
