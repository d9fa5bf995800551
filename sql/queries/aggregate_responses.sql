-- Every response in the order that votes number them by, with its length in characters. `messages[1]` copies a nested value
-- wherever it is written, so that a plain response, as most are, is measured on one copy.
SELECT
    prompt_id, response_id, model,
    length(CASE WHEN len(messages) = 1 AND memory.is_plain_message(message) THEN memory.content_text(message.content)
        ELSE memory.response_text(messages) END) AS length,
    hash(response_id) AS hash
FROM (SELECT prompt_id, response_id, model, messages, messages[1] AS message FROM responses)
ORDER BY prompt_id, response_id
