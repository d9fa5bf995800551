-- Every ranked prompt of one iteration with the reason why it is left out; null: it is exported.
-- $1 iteration, $2 split (null: all), $3 routed, $4 min_confidence.
CREATE OR REPLACE TEMP TABLE selection AS
WITH pairs AS (
    SELECT
        prompt_id,
        round(avg(confidence) FILTER (status <> 'discarded' AND outcome <> 'tie'), 12) AS confidence,
        bool_and(status = 'discarded') AS discarded,
        bool_or(status = 'routed') AS routed,
        bool_and(status = 'verified' OR outcome = 'tie') AS verified
    FROM preferences
    WHERE iteration = $1
    GROUP BY prompt_id
),
ranked AS (
    SELECT prompt_id, list(response_id) AS responses, count(DISTINCT rank) AS ranks
    FROM rankings
    ANTI JOIN dropped_by_filter ON item_id = response_id
    WHERE iteration = $1
    GROUP BY prompt_id
)
SELECT
    prompt_id, responses, confidence,
    CASE
        WHEN $2::VARCHAR IS NOT NULL AND prompts.split IS DISTINCT FROM $2::VARCHAR THEN 'in another split'
        WHEN len(responses) < 2 THEN 'fewer than two responses'
        WHEN discarded THEN 'discarded'
        WHEN ranks = 1 THEN 'tie'
        WHEN pairs.routed AND NOT $3 THEN 'waits for people'
        WHEN NOT verified AND confidence < $4 THEN 'confidence below min_confidence'
    END AS reason
FROM ranked
JOIN prompts USING (prompt_id)
LEFT JOIN pairs USING (prompt_id)
