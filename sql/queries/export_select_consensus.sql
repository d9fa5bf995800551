-- Every ranked prompt of one iteration with the reason why it is no question of a benchmark; null: it is one. Its best
-- response must be the only one, and be better than each other with enough confidence, or by people's own verdict.
-- $1 iteration, $2 split (null: all), $3 routed (must be false), $4 min_confidence.
CREATE OR REPLACE TEMP TABLE selection AS
WITH best AS (
    SELECT prompt_id, min(response_id) AS response_id, count(*) AS bests
    FROM rankings
    WHERE iteration = $1 AND rank = 1
    GROUP BY prompt_id
),
against AS (  -- each pair of the best response of a prompt
    SELECT
        best.prompt_id, status, confidence,
        if(preferences.response_a = best.response_id, 'a', 'b') = outcome AS won
    FROM preferences
    JOIN best ON best.prompt_id = preferences.prompt_id
        AND best.response_id IN (preferences.response_a, preferences.response_b)
    WHERE iteration = $1
),
contests AS (
    SELECT
        prompt_id, count(*) AS contests, bool_and(won) AS won, bool_or(status = 'routed') AS routed,
        bool_or(status = 'discarded') AS discarded,
        min(if(status = 'verified', 1.0, confidence)) AS confidence
    FROM against
    GROUP BY prompt_id
),
ranked AS (
    SELECT prompt_id, list(response_id ORDER BY response_id) AS responses FROM rankings WHERE iteration = $1 GROUP BY prompt_id
)
SELECT
    prompt_id, responses, contests.confidence,
    CASE
        WHEN $2::VARCHAR IS NOT NULL AND prompts.split IS DISTINCT FROM $2::VARCHAR THEN 'in another split'
        WHEN len(responses) < 2 THEN 'fewer than two responses'
        WHEN bests > 1 THEN 'several best responses'
        WHEN coalesce(contests, 0) < len(responses) - 1 THEN 'the best response was not compared with every other'
        WHEN discarded THEN 'discarded'
        WHEN NOT won THEN 'the best response does not win against every other'
        WHEN contests.routed AND NOT $3 THEN 'waits for people'
        WHEN contests.confidence < $4 THEN 'confidence below min_confidence'
    END AS reason
FROM ranked
JOIN prompts USING (prompt_id)
JOIN best USING (prompt_id)
LEFT JOIN contests USING (prompt_id)
