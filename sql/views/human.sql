-- What people say now: their judgments without those that a later one supersedes.
CREATE OR REPLACE TEMP VIEW human_judgments AS
SELECT * FROM lake.judgments
WHERE kind = 'human'
    AND judgment_id NOT IN (SELECT supersedes FROM lake.judgments WHERE supersedes IS NOT NULL);
