-- The ranked responses of the selected prompts with their conversations as the lake has them, one row each, a prompt's
-- rows together, the prompt on its first row only. $1 iteration.
WITH ranked AS (
    SELECT prompt_id, response_id, rank, score, iteration
    FROM rankings
    JOIN (SELECT prompt_id, responses FROM selection WHERE reason IS NULL) AS selected USING (prompt_id)
    WHERE iteration = $1 AND list_contains(responses, response_id)  -- not those that a filter has dropped
),
firsts AS (SELECT prompt_id, min(response_id) AS response_id FROM ranked GROUP BY prompt_id),
asked AS (SELECT firsts.response_id, messages AS prompt, tools, source, prompts."key" AS prompt_key FROM prompts JOIN firsts USING (prompt_id))
SELECT
    prompt, tools, source, prompt_key, response_id, model, responses."key", responses.meta, memory.response_text(responses.messages) AS text, responses.messages,
    rank, score, ranked.prompt_id, iteration
FROM ranked
JOIN responses USING (response_id)
LEFT JOIN asked USING (response_id)
ORDER BY memory.batch_of(ranked.prompt_id), ranked.prompt_id, response_id
