-- Every pair of the last aggregation, with people's verdicts on it: 1 (a), -1 (b), 0 (tie), averaged; null without any.
-- `heard`: people have answered, if only to skip it.
WITH people AS (
    SELECT
        prompt_id, response_a, response_b, count(*) AS n,
        avg(CASE outcome WHEN 'a' THEN 1.0 WHEN 'b' THEN -1.0 WHEN 'tie' THEN 0.0 END) AS verdict,
        count(*) FILTER (outcome IN ('a', 'b', 'tie')) AS verdicts,
        greatest(
            count(*) FILTER (outcome = 'a'), count(*) FILTER (outcome = 'b'), count(*) FILTER (outcome = 'tie')
        ) AS most
    FROM human_statements GROUP BY ALL
)
SELECT
    prompt_id, response_a, response_b, p_a, confidence, outcome, status, dropped_weight, verdict,
    coalesce(verdicts, 0) AS verdicts, coalesce(most, 0) AS most, n IS NOT NULL AS heard
FROM final_preferences LEFT JOIN people USING (prompt_id, response_a, response_b)
ORDER BY prompt_id, response_a, response_b
