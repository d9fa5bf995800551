-- What the panel says today, as two views. The relation `panel` (annotator_id, revision) says whose judgments count.
-- What is about one aspect alone is kept, and does not count.
-- A judgment that another one supersedes does not. (Their ids are a table of their own, because the planner would
-- otherwise take them to be many, and build its hash table of all judgments.)
CREATE OR REPLACE TEMP TABLE superseded AS
SELECT supersedes AS judgment_id FROM judgments WHERE supersedes IS NOT NULL;

CREATE OR REPLACE TEMP VIEW current_judgments AS
SELECT judgments.*
FROM judgments
SEMI JOIN panel USING (annotator_id, revision)
ANTI JOIN superseded USING (judgment_id)
WHERE aspect IS NULL;

-- Annotators are told apart by name and kind. Where those of several kinds share a name, a judge of the panel keeps it
-- (curate.yaml means that one), and each other one is called by its kind too: "sam (human)". So is, once more, whoever is
-- really called like that. Empty in most lakes, and not computed until somebody reads it.
CREATE OR REPLACE TEMP VIEW speakers AS
SELECT DISTINCT annotator_id, kind, revision FROM judgments SEMI JOIN panel USING (annotator_id, revision) WHERE aspect IS NULL;

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

-- Every form of judgment as statements about pairs, one row each, a < b. `statement_id` tells them apart.
-- pairwise: as it is, failures and abstentions among them.
-- pointwise: two ratings by one annotator; where both have a spread, `p_a` is the probability that a's is the higher:
--   the logistic curve of the difference in standard deviations (1.702 brings it within 0.01 of the normal one).
-- listwise: two places of one list, by `scores`, else by `ranking`; `shown` by which of the two stood first.
-- A rating or a list that failed says nothing of any pair.
-- `curate.data.pair_statements` says the same in Python, and a test holds the two together.
CREATE OR REPLACE TEMP VIEW pairwise_statements AS
WITH ratings AS (
    SELECT judgment_id, prompt_id, response_a AS response_id, annotator_id, kind, revision, sample, score, score_sd
    FROM current_judgments
    WHERE form = 'pointwise' AND score IS NOT NULL AND outcome NOT IN ('abstain', 'failed')
),
lists AS (
    SELECT
        judgment_id, prompt_id, annotator_id, kind, revision, sample, listed IS NOT NULL AS in_order, scores, ranking,
        unnest(coalesce(listed, ranking)) AS response_id,
        generate_subscripts(coalesce(listed, ranking), 1) AS place
    FROM current_judgments
    WHERE form = 'listwise' AND outcome NOT IN ('abstain', 'failed')
),
places AS (
    SELECT * EXCLUDE (scores, ranking),
        CASE WHEN scores IS NULL THEN -nullif(list_position(ranking, response_id), 0) ELSE scores[place] END AS score
    FROM lists
)
SELECT
    judgment_id AS statement_id, prompt_id, response_a, response_b, annotator_id, kind, revision, sample, form, outcome, shown, p_a
FROM current_judgments
WHERE form = 'pairwise'
UNION ALL
SELECT
    a.judgment_id || b.judgment_id, prompt_id, a.response_id, b.response_id, annotator_id, kind, revision, sample, 'pointwise',
    CASE WHEN a.score > b.score THEN 'a' WHEN a.score < b.score THEN 'b' ELSE 'tie' END,
    NULL,
    1 / (1 + exp(-1.702 * (a.score - b.score) / nullif(sqrt(a.score_sd ** 2 + b.score_sd ** 2), 0)))
FROM ratings AS a
JOIN ratings AS b USING (prompt_id, annotator_id, kind, revision, sample)
WHERE a.response_id < b.response_id
UNION ALL
SELECT
    judgment_id || a.response_id || b.response_id, a.prompt_id, a.response_id, b.response_id,
    a.annotator_id, a.kind, a.revision, a.sample, 'listwise',
    CASE WHEN a.score > b.score THEN 'a' WHEN a.score < b.score THEN 'b' ELSE 'tie' END,
    CASE WHEN a.in_order THEN CASE WHEN a.place < b.place THEN 'ab' ELSE 'ba' END END,
    NULL
FROM places AS a
JOIN places AS b USING (judgment_id)
WHERE a.response_id < b.response_id AND a.score IS NOT NULL AND b.score IS NOT NULL
