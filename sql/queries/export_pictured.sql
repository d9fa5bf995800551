-- Whether a prompt holds an image.
SELECT count(*) > 0
FROM prompts
WHERE list_contains(flatten(list_transform(messages, lambda message:
    list_transform(message.content, lambda part: part.type))), 'image')
