-- What each annotator of the panel says of each pair, with the reason why it is left out; null: it is exported. What an
-- annotator said in both orders, or more than once, is one vote: the side that it took more often. $1 split (null: all).
CREATE OR REPLACE TEMP TABLE selection AS
WITH votes AS (
    SELECT
        prompt_id, response_a, response_b, annotator_id, any_value(kind) AS kind, count(*) AS n_judgments,
        count(*) FILTER (outcome = 'a') AS for_a, count(*) FILTER (outcome = 'b') AS for_b,
        count(*) FILTER (outcome IN ('abstain', 'failed')) AS silent, avg(p_a) AS p_a
    FROM pairwise_statements
    GROUP BY prompt_id, response_a, response_b, annotator_id
)
SELECT
    votes.*, [response_a, response_b] AS responses, NULL::DOUBLE AS confidence,
    CASE
        WHEN a.response_id IS NULL OR b.response_id IS NULL THEN 'a response is missing'
        WHEN $1::VARCHAR IS NOT NULL AND split IS DISTINCT FROM $1::VARCHAR THEN 'in another split'
        WHEN silent = n_judgments THEN 'failed or abstained'
        WHEN for_a + for_b = 0 THEN 'tie'
        WHEN for_a = for_b THEN 'says both'
    END AS reason
FROM votes
LEFT JOIN prompts USING (prompt_id)
LEFT JOIN responses AS a ON a.response_id = response_a
LEFT JOIN responses AS b ON b.response_id = response_b
