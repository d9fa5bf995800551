-- What each annotator says of each pair, one row per statement.
-- Ids are hashed to integers, since this is grouped and joined many times; `first_won` is null without an order.
CREATE OR REPLACE TEMP TABLE votes AS
SELECT
    annotator_id, hash(response_a, response_b) AS pair, outcome, shown, sample,
    CASE WHEN outcome IN ('a', 'b') THEN outcome = shown[1] END AS first_won
FROM pairwise_statements
