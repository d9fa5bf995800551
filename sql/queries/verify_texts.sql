-- The texts of the pairs in the relation `pool`: the last message of the prompt and both responses.
SELECT
    pair,
    array_to_string([part."text" FOR part IN prompts.messages[-1].content IF part."text" IS NOT NULL], chr(10)) AS prompt,
    array_to_string([part."text" FOR part IN first.content IF part."text" IS NOT NULL], chr(10)) AS a,
    array_to_string([part."text" FOR part IN second.content IF part."text" IS NOT NULL], chr(10)) AS b
FROM pool
JOIN prompts USING (prompt_id)
JOIN responses AS first ON first.response_id = response_a
JOIN responses AS second ON second.response_id = response_b
ORDER BY pair
