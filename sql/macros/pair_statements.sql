-- Every form of judgment (those of the relation `judged`) as statements about pairs, one row each, a < b. `statement_id` tells them apart.
-- pairwise: as it is, failures and abstentions among them.
-- pointwise: two ratings by one annotator; where both have a spread, `p_a` is the probability that a's is the higher:
--   the logistic curve of the difference in standard deviations (1.702 brings it within 0.01 of the normal one).
-- listwise: two places of one list, by `scores`, else by `ranking`; `shown` by which of the two stood first.
-- A rating or a list that failed says nothing of any pair. Nor do equal ratings that people gave to `curate verify`
--   (asked_as): two that pass, or meet as much of a rubric, are not said to be equally good.
-- `curate.data.pair_statements` says the same in Python, and a test holds the two together.
CREATE OR REPLACE MACRO memory.pair_statements(judged) AS TABLE (
    WITH ratings AS (
        SELECT judgment_id, prompt_id, response_a AS response_id, annotator_id, kind, revision, sample, score, score_sd, asked_as
        FROM query_table(judged)
        WHERE form = 'pointwise' AND score IS NOT NULL AND outcome NOT IN ('abstain', 'failed')
    ),
    lists AS (
        SELECT
            judgment_id, prompt_id, annotator_id, kind, revision, sample, listed IS NOT NULL AS in_order, scores, ranking,
            unnest(coalesce(listed, ranking)) AS response_id,
            generate_subscripts(coalesce(listed, ranking), 1) AS place
        FROM query_table(judged)
        WHERE form = 'listwise' AND outcome NOT IN ('abstain', 'failed')
    ),
    places AS (
        SELECT * EXCLUDE (scores, ranking),
            CASE WHEN scores IS NULL THEN -nullif(list_position(ranking, response_id), 0) ELSE scores[place] END AS score
        FROM lists
    )
    SELECT
        judgment_id AS statement_id, prompt_id, response_a, response_b, annotator_id, kind, revision, sample, form, outcome, shown, p_a
    FROM query_table(judged)
    WHERE form = 'pairwise'
    UNION ALL
    SELECT
        a.judgment_id || b.judgment_id, prompt_id, a.response_id, b.response_id, annotator_id, kind, revision, sample, 'pointwise',
        CASE WHEN a.score > b.score THEN 'a' WHEN a.score < b.score THEN 'b' ELSE 'tie' END,
        NULL,
        1 / (1 + exp(-1.702 * (a.score - b.score) / nullif(sqrt(a.score_sd ** 2 + b.score_sd ** 2), 0)))
    FROM ratings AS a
    JOIN ratings AS b USING (prompt_id, annotator_id, kind, revision, sample)
    WHERE a.response_id < b.response_id AND (a.score <> b.score OR a.asked_as IS NULL)
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
);
