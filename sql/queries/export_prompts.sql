-- The selected prompts with their conversations as the lake has them.
SELECT prompt_id, messages AS prompt, tools, source, split, reference, "key"
FROM prompts
SEMI JOIN (FROM selection WHERE reason IS NULL) USING (prompt_id)
ORDER BY memory.batch_of(prompt_id), prompt_id
