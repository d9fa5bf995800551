-- Every response in the order that votes number them by, with its length in characters.
SELECT
    prompt_id, response_id, model,
    length(memory.response_text(messages)) AS length,
    hash(response_id) AS hash
FROM responses
ORDER BY prompt_id, response_id
