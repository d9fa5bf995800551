-- What each prompt asks, as text: what users say in it, or where nobody does, all of it. The oldest prompt comes first.
SELECT prompt_id, array_to_string(list_transform(
    if(len(list_filter(messages, lambda one: one."role" = 'user')) > 0,
        list_filter(messages, lambda one: one."role" = 'user'), messages),
    lambda message: array_to_string(list_transform(message.content, lambda part:
        coalesce(part."text", part.sha256, md5(part.uri), part."type")), chr(10))), chr(10)) AS asked
FROM prompts
ORDER BY rowid
