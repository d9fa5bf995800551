-- What each prompt asks, as text: what users say in it, or where nobody does, all of it. The oldest prompt comes first.
SELECT prompt_id, array_to_string(list_transform(
    if(len(list_filter(messages, lambda one: one."role" = 'user')) > 0,
        list_filter(messages, lambda one: one."role" = 'user'), messages),
    lambda message: array_to_string(list_transform(message.content, lambda piece:
        coalesce(piece."text", piece.sha256, md5(piece.uri), piece."type")), chr(10))), chr(10)) AS asked
FROM prompts
ORDER BY rowid
