-- The prompts of the selected rows as lists of {role, content}.
SELECT
    prompt_id,
    list_transform(messages, lambda message: {
        'role': message.role,
        'content': memory.content_text(message.content)
    }) AS prompt
FROM prompts
SEMI JOIN (FROM selection WHERE reason IS NULL) USING (prompt_id)
