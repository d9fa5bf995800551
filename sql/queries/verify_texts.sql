-- The texts of the pairs in the relation `pool`: the last message of the prompt and both responses.
SELECT
    pair,
    memory.content_text(prompts.messages[-1].content) AS prompt,
    memory.response_text(first.messages) AS a,
    memory.response_text(second.messages) AS b
FROM pool
JOIN prompts USING (prompt_id)
JOIN responses AS first ON first.response_id = response_a
JOIN responses AS second ON second.response_id = response_b
ORDER BY pair
