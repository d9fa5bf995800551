-- The selected rankings as rows of the format ranking. $1 iteration.
WITH ranked AS (
    SELECT
        prompt_id,
        list({
            'response_id': response_id,
            'model': model,
            'text': array_to_string(list_transform(content, lambda part:
                coalesce(part.text, format('[{} {}]', part.type, coalesce(part.uri, '')))), chr(10))
        } ORDER BY response_id) AS responses,
        list(rank ORDER BY response_id) AS rankings,
        list(score ORDER BY response_id) AS scores
    FROM rankings
    JOIN responses USING (prompt_id, response_id)
    SEMI JOIN (FROM selection WHERE reason IS NULL) USING (prompt_id)
    WHERE iteration = $1
    GROUP BY prompt_id
)
SELECT
    list_transform(messages, lambda message: {
        'role': message.role,
        'content': array_to_string(list_transform(message.content, lambda part:
            coalesce(part.text, format('[{} {}]', part.type, coalesce(part.uri, '')))), chr(10))
    }) AS prompt,
    ranked.responses, rankings, scores, prompt_id, $1 AS iteration
FROM ranked
JOIN prompts USING (prompt_id)
ORDER BY prompt_id
