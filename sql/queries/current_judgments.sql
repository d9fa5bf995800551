-- What the panel says today, as two views. The relation `panel` (annotator_id, revision) says whose judgments count.
-- What is about one aspect alone is kept, and does not count; where the variable `aspect` names one, only that counts.
-- A judgment that another one supersedes does not. (Their ids are a table of their own, because the planner would
-- otherwise take them to be many, and build its hash table of all judgments.)
CREATE OR REPLACE TEMP TABLE superseded AS
SELECT supersedes AS judgment_id FROM judgments WHERE supersedes IS NOT NULL;

CREATE OR REPLACE TEMP VIEW current_judgments AS
SELECT judgments.*
FROM judgments
SEMI JOIN panel USING (annotator_id, revision)
ANTI JOIN superseded USING (judgment_id)
WHERE aspect IS NOT DISTINCT FROM getvariable('aspect')::VARCHAR;

-- Annotators are told apart by name and kind. Where those of several kinds share a name, a judge of the panel keeps it
-- (curate.yaml means that one), and each other one is called by its kind too: "sam (human)". So is, once more, whoever is
-- really called like that. Empty in most lakes, and not computed until somebody reads it.
CREATE OR REPLACE TEMP VIEW speakers AS
SELECT DISTINCT annotator_id, kind, revision FROM judgments SEMI JOIN panel USING (annotator_id, revision)
WHERE aspect IS NOT DISTINCT FROM getvariable('aspect')::VARCHAR;

CREATE OR REPLACE TEMP VIEW renamed AS
WITH annotators AS (
    SELECT annotator_id, kind, bool_or(revision <> 'imported' AND kind <> 'human') AS is_judge
    FROM speakers
    GROUP BY ALL
),
sharing AS (
    SELECT
        *, annotator_id || ' (' || kind || ')' AS name, count(*) OVER (PARTITION BY annotator_id) AS kinds,
        row_number() OVER (PARTITION BY annotator_id ORDER BY is_judge DESC, kind) AS place
    FROM annotators
),
others AS (SELECT annotator_id, kind, name FROM sharing WHERE kinds > 1 AND NOT (is_judge AND place = 1))
SELECT annotator_id, kind, name FROM others
UNION
SELECT annotator_id, kind, name FROM sharing WHERE annotator_id IN (SELECT name FROM others);

-- What they say about pairs (sql/macros/pair_statements.sql).
CREATE OR REPLACE TEMP VIEW pairwise_statements AS FROM memory.pair_statements('current_judgments')
