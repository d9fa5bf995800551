-- The labels of one prompt. $1 prompt.
SELECT
    response_a, response_b, p_a, outcome, status, confidence, n_judgments, reason, dropped_weight
FROM final_preferences
WHERE prompt_id = $1
ORDER BY response_a, response_b
