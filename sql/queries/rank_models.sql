-- How often the responses of two models met in the aggregated preferences and who won; first_model < second_model.
SELECT
    least(a.model, b.model) AS first_model, greatest(a.model, b.model) AS second_model,
    count(*) FILTER (outcome = CASE WHEN a.model < b.model THEN 'a' ELSE 'b' END) AS wins_first,
    count(*) FILTER (outcome = CASE WHEN a.model < b.model THEN 'b' ELSE 'a' END) AS wins_second,
    count(*) FILTER (outcome = 'tie') AS ties,
    count(DISTINCT p.prompt_id) AS prompts
FROM final_preferences AS p
JOIN responses AS a ON a.response_id = p.response_a
JOIN responses AS b ON b.response_id = p.response_b
WHERE p.status <> 'discarded' AND a.model <> b.model
GROUP BY ALL
ORDER BY ALL
