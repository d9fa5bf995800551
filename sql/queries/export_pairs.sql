-- The selected pairs with their conversations as the lake has them, each response as one object. $1 iteration.
WITH decided AS (
    SELECT
        preferences.*,
        if(outcome = 'a', response_a, response_b) AS chosen_id,
        if(outcome = 'a', response_b, response_a) AS rejected_id,
        if(outcome = 'a', strength, -strength) AS lead
    FROM preferences
    SEMI JOIN (FROM selection WHERE reason IS NULL) USING (prompt_id, response_a, response_b)
    WHERE iteration = $1
),
candidates AS (
    SELECT response_id, {
        'response_id': response_id, 'key': responses."key", 'model': model,
        'text': memory.response_text(messages), 'messages': messages, 'score': score, 'rank': rank
    } AS response
    FROM responses
    LEFT JOIN (FROM rankings WHERE iteration = $1) AS ranked USING (response_id)
)
SELECT
    decided.prompt_id, prompts.messages AS prompt, prompts.tools, prompts.source, prompts.split, prompts.reference,
    chosen_one.response AS chosen, rejected_one.response AS rejected,
    decided.confidence, lead AS strength, greatest(lead, 0) AS margin, n_judgments, decided.iteration
FROM decided
JOIN prompts USING (prompt_id)
JOIN candidates AS chosen_one ON chosen_one.response_id = chosen_id
JOIN candidates AS rejected_one ON rejected_one.response_id = rejected_id
ORDER BY memory.batch_of(decided.prompt_id), decided.prompt_id, response_a, response_b
