-- The least sure labels of pairs with images or videos, with their messages; ties last. $1 how many.
WITH pictured AS (
    SELECT prompt_id FROM prompts WHERE memory.shows_media(messages)
    UNION
    SELECT prompt_id FROM responses WHERE memory.shows_media(messages)
),
unsure AS (
    SELECT prompt_id, response_a, response_b, outcome, confidence
    FROM final_preferences SEMI JOIN pictured USING (prompt_id)
    ORDER BY outcome = 'tie', confidence, prompt_id, response_a, response_b
    LIMIT $1
)
SELECT p.messages, a.messages, b.messages, outcome, confidence
FROM unsure
JOIN prompts AS p USING (prompt_id)
JOIN responses AS a ON a.response_id = response_a
JOIN responses AS b ON b.response_id = response_b
ORDER BY outcome = 'tie', confidence, unsure.prompt_id, response_a, response_b
