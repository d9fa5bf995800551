-- Prompts and their responses that the gold can mean: by the caller's key or by our id. `gold_keys` (name).
SELECT prompts.prompt_id, prompts."key" AS prompt_key, responses.response_id, responses."key" AS response_key,
    length(memory.response_text(responses.messages)) AS length
FROM prompts
JOIN responses USING (prompt_id)
WHERE prompts.prompt_id IN (SELECT name FROM gold_keys) OR prompts."key" IN (SELECT name FROM gold_keys)
ORDER BY ALL
