-- Every pair of one iteration with the reason why it is left out; null: it is exported.
-- $1 iteration, $2 split (null: all), $3 routed, $4 min_confidence.
CREATE OR REPLACE TEMP TABLE selection AS
WITH texts AS (
    SELECT response_id, hash(responses.messages) AS content FROM responses SEMI JOIN prompts USING (prompt_id)
)
SELECT
    preferences.prompt_id, response_a, response_b, [response_a, response_b] AS responses, confidence,
    CASE
        WHEN a.content IS NULL OR b.content IS NULL THEN 'a response is missing'
        WHEN $2::VARCHAR IS NOT NULL AND prompts.split IS DISTINCT FROM $2::VARCHAR THEN 'in another split'
        WHEN pair."filter" IS NOT NULL THEN 'filter ' || pair."filter"
        WHEN status = 'discarded' THEN 'discarded'
        WHEN outcome = 'tie' THEN 'tie'
        WHEN a.content = b.content THEN 'both responses have the same text'
        WHEN status = 'routed' AND NOT $3 THEN 'waits for people'
        WHEN status <> 'verified' AND confidence < $4 THEN 'confidence below min_confidence'
    END AS reason
FROM preferences
LEFT JOIN prompts USING (prompt_id)
LEFT JOIN texts AS a ON a.response_id = response_a
LEFT JOIN texts AS b ON b.response_id = response_b
LEFT JOIN dropped_pairs AS pair USING (response_a, response_b)
WHERE iteration = $1
