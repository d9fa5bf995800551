-- Whether a prompt or response of the `selection` is more than {role, content: text} can say, and whether a prompt of
-- it holds an image.
SELECT
    bool_or(tools IS NOT NULL OR NOT memory.is_role_and_text(messages)) OR EXISTS (
        FROM responses
        SEMI JOIN (SELECT unnest(responses) AS response_id FROM selection WHERE reason IS NULL) USING (response_id)
        WHERE NOT (memory.is_plain(messages) AND memory.is_role_and_text(messages))
    ) AS as_messages,
    bool_or(memory.has_images(messages)) AS with_images
FROM prompts
SEMI JOIN (FROM selection WHERE reason IS NULL) USING (prompt_id)
