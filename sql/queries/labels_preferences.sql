-- The last iteration's preferences by the caller's keys (the lake's ids where there are none), a before b by key: what is
-- said of a and b turns round with them.
WITH named AS (
    SELECT response_id, coalesce("key", response_id) AS name
    FROM responses
),
keyed AS (
    SELECT
        preference.*, coalesce(asked."key", asked.prompt_id) AS prompt, one.name AS first_name, other.name AS second_name,
        one.name > other.name AS turned
    FROM final_preferences AS preference
    JOIN prompts AS asked USING (prompt_id)
    JOIN named AS one ON one.response_id = preference.response_a
    JOIN named AS other ON other.response_id = preference.response_b
)
SELECT
    prompt, least(first_name, second_name) AS a, greatest(first_name, second_name) AS b,
    CASE WHEN turned AND outcome = 'a' THEN 'b' WHEN turned AND outcome = 'b' THEN 'a' ELSE outcome END AS winner,
    CASE WHEN turned THEN round(1 - p_a, 12) ELSE p_a END AS p_a,
    CASE WHEN turned THEN 0 - strength ELSE strength END AS strength,
    confidence, status, reason, n_judgments, dropped_weight
FROM keyed
ORDER BY prompt, a, b, prompt_id
