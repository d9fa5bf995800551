-- The responses of one prompt, the best first. $1 prompt.
SELECT
    response_id, "key", model,
    memory.response_text(messages) AS text,
    rank, score, score_sd
FROM responses
LEFT JOIN final_rankings USING (response_id)
WHERE responses.prompt_id = $1
ORDER BY rank NULLS LAST, score DESC, response_id
