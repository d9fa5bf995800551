-- The selected votes with their conversations as the lake has them, each response as one object.
WITH decided AS (
    SELECT
        *, if(for_a > for_b, response_a, response_b) AS chosen_id, if(for_a > for_b, response_b, response_a) AS rejected_id
    FROM selection
    WHERE reason IS NULL
),
candidates AS (
    SELECT response_id, {
        'response_id': response_id, 'key': "key", 'model': model,
        'text': memory.response_text(messages), 'messages': messages
    } AS response
    FROM responses
    SEMI JOIN (FROM selection WHERE reason IS NULL) USING (prompt_id)
)
SELECT
    decided.prompt_id, prompts.messages AS prompt, prompts.tools, prompts.source, prompts.split, prompts.reference,
    chosen_one.response AS chosen, rejected_one.response AS rejected,
    annotator_id, kind, n_judgments, if(for_a > for_b, p_a, 1 - p_a) AS p_chosen
FROM decided
JOIN prompts USING (prompt_id)
JOIN candidates AS chosen_one ON chosen_one.response_id = chosen_id
JOIN candidates AS rejected_one ON rejected_one.response_id = rejected_id
ORDER BY memory.batch_of(decided.prompt_id), decided.prompt_id, response_a, response_b, annotator_id
