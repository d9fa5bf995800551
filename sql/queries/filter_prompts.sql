-- Prompts in the order in which they came in, as filters read them. `text`: the last message; `history`: what stands
-- before it; `context`: whatever else tells two prompts apart (earlier turns, media, tools).
SELECT
    prompt_id, prompts.source, json_extract_string(meta, '$.category') AS category,
    memory.content_text(messages[-1].content) AS "text",
    array_to_string(list_transform(messages[:-2], lambda message: memory.content_text(message.content)), chr(10)) AS history,
    md5(concat_ws(chr(0),
        to_json(messages[:-2]), to_json(list_filter(messages[-1].content, lambda piece: piece."type" <> 'text')), tools
    )) AS context
FROM prompts
ANTI JOIN dropped_items ON item_id = prompt_id
ORDER BY prompts.rowid
