-- Whether a prompt or response of the lake is more than {role, content: text} can say.
SELECT
    EXISTS (FROM prompts WHERE tools IS NOT NULL OR NOT memory.is_role_and_text(messages))
    OR EXISTS (FROM responses WHERE NOT (memory.is_plain(messages) AND memory.is_role_and_text(messages)))
