-- The ranked responses of the selected prompts, one row each, a prompt's rows together. $1 iteration.
-- They are nested outside: a list aggregate holds all groups in memory at once, while a sort spills to disk.
WITH ranked AS (
    SELECT prompt_id, response_id, rank, score, iteration
    FROM rankings
    JOIN (SELECT prompt_id, responses FROM selection WHERE reason IS NULL) AS selected USING (prompt_id)
    WHERE iteration = $1 AND list_contains(responses, response_id)  -- not those that a filter has dropped
),
firsts AS (SELECT prompt_id, min(response_id) AS response_id FROM ranked GROUP BY prompt_id),
prompt_texts AS (  -- on a prompt's first row only
    SELECT
        firsts.response_id,
        list_transform(messages, lambda message: {
            'role': message.role,
            'content': memory.content_text(message.content)
        }) AS prompt
    FROM prompts
    JOIN firsts USING (prompt_id)
)
SELECT
    prompt, response_id, model,
    memory.response_text(responses.messages) AS text,
    rank, score, ranked.prompt_id, iteration
FROM ranked
JOIN responses USING (response_id)
LEFT JOIN prompt_texts USING (response_id)
ORDER BY memory.batch_of(ranked.prompt_id), ranked.prompt_id, response_id
