-- The responses of one prompt, the best first. $1 prompt.
SELECT
    response_id, "key", model,
    array_to_string(list_transform(content, lambda part: coalesce(part.text, '[' || part.type || ']')), chr(10)) AS text,
    rank, score, score_sd
FROM responses
LEFT JOIN final_rankings USING (response_id)
WHERE responses.prompt_id = $1
ORDER BY rank NULLS LAST, score DESC, response_id
