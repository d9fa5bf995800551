-- Responses in the order in which they came in, as filters read them; those of prompts that are left out are not.
SELECT
    response_id, responses.prompt_id, prompts.source, model,
    json_extract_string(prompts.meta, '$.category') AS category, memory.response_text(responses.messages) AS "text"
FROM responses
JOIN prompts ON prompts.prompt_id = responses.prompt_id
ANTI JOIN dropped_items ON item_id = response_id OR item_id = responses.prompt_id
ORDER BY responses.rowid
