-- The texts of the responses in `wanted` with the prompts they answer.
SELECT response_id, memory.response_text(responses.messages) AS text, memory.content_text(prompts.messages[-1].content) AS prompt
FROM responses
SEMI JOIN wanted USING (response_id)
JOIN prompts USING (prompt_id)
