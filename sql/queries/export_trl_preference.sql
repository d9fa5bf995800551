-- The selected pairs as rows of the format trl-preference. $1 iteration.
WITH prompt_texts AS (
    SELECT
        prompt_id,
        list_transform(messages, lambda message: {
            'role': message.role,
            'content': memory.content_text(message.content)
        }) AS prompt
    FROM prompts
),
texts AS (
    SELECT
        response_id, model,
        [{
            'role': 'assistant',
            'content': memory.response_text(messages)
        }] AS answer
    FROM responses
),
decided AS (
    SELECT
        preferences.*,
        if(outcome = 'a', response_a, response_b) AS chosen_id,
        if(outcome = 'a', response_b, response_a) AS rejected_id,
        if(outcome = 'a', strength, -strength) AS lead
    FROM preferences
    SEMI JOIN (FROM selection WHERE reason IS NULL) USING (prompt_id, response_a, response_b)
    WHERE iteration = $1
)
SELECT
    prompt, chosen.answer AS chosen, rejected.answer AS rejected, decided.prompt_id, chosen_id, rejected_id,
    chosen.model AS chosen_model, rejected.model AS rejected_model,
    decided.confidence, lead AS strength, greatest(lead, 0) AS margin, n_judgments, iteration
FROM decided
JOIN prompt_texts USING (prompt_id)
JOIN texts AS chosen ON chosen.response_id = chosen_id
JOIN texts AS rejected ON rejected.response_id = rejected_id
ORDER BY memory.batch_of(decided.prompt_id), decided.prompt_id, response_a, response_b
