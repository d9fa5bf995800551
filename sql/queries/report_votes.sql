-- What each annotator says of each pair, one row per statement: verdicts, and comparisons of scores or places.
-- Ids are hashed to integers, since this is grouped and joined many times; `first_won` is null without an order.
CREATE OR REPLACE TEMP TABLE votes AS
WITH scores AS (
    SELECT annotator_id, prompt_id, response_a AS response_id, avg(score) AS score
    FROM current_judgments
    WHERE form = 'pointwise' AND score IS NOT NULL AND outcome <> 'failed'
    GROUP BY ALL
    UNION ALL
    SELECT annotator_id, prompt_id, response_id, -avg(place) AS score
    FROM (
        SELECT annotator_id, prompt_id, unnest(ranking) AS response_id, generate_subscripts(ranking, 1) AS place
        FROM current_judgments
        WHERE form = 'listwise' AND outcome <> 'failed'
    )
    GROUP BY ALL
)
SELECT
    annotator_id, hash(response_a, response_b) AS pair, outcome, shown, sample,
    CASE WHEN outcome IN ('a', 'b') THEN outcome = shown[1] END AS first_won
FROM current_judgments
WHERE form = 'pairwise'
UNION ALL
SELECT
    a.annotator_id, hash(a.response_id, b.response_id) AS pair,
    CASE WHEN a.score > b.score THEN 'a' WHEN a.score < b.score THEN 'b' ELSE 'tie' END AS outcome,
    NULL AS shown, 0 AS sample, NULL AS first_won
FROM scores AS a
JOIN scores AS b
    ON a.annotator_id = b.annotator_id AND a.prompt_id = b.prompt_id AND a.response_id < b.response_id
