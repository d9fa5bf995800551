-- The labels of the final set with their texts, the better response first, a tie in canonical order. $1: of people alone.
SELECT
    preferences.prompt_id, prompts.messages AS prompt, prompts.reference, prompts.tools,
    chosen.response_id AS chosen_id, rejected.response_id AS rejected_id,
    chosen.messages AS chosen, rejected.messages AS rejected,
    if(outcome = 'b', 1 - p_a, p_a) AS p_chosen
FROM final_preferences AS preferences
JOIN prompts USING (prompt_id)
JOIN responses AS chosen ON chosen.response_id = if(outcome = 'b', response_b, response_a)
JOIN responses AS rejected ON rejected.response_id = if(outcome = 'b', response_a, response_b)
WHERE status NOT IN ('discarded', 'routed') AND (status = 'verified' OR NOT $1)
ORDER BY preferences.prompt_id, response_a, response_b
