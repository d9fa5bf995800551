-- The selected responses with the verdict of most people, their prompts as the lake has them.
SELECT
    selection.prompt_id, prompts.messages AS prompt, prompts.tools, prompts.source, prompts.split, prompts.reference,
    CASE WHEN json_valid(prompts.meta) THEN json_extract_string(prompts.meta, '$.category') END AS category,
    {
        'response_id': response_id, 'key': responses."key", 'model': model,
        'text': memory.response_text(responses.messages), 'messages': responses.messages
    } AS response,
    passed > failed AS passes, passed, failed
FROM selection
JOIN prompts USING (prompt_id)
JOIN responses USING (response_id)
WHERE reason IS NULL
ORDER BY memory.batch_of(selection.prompt_id), selection.prompt_id, response_id
