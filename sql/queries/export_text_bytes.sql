-- The bytes of all texts of prompts and responses.
SELECT
    coalesce(sum(list_sum(list_transform(messages, lambda message:
        coalesce(list_sum(list_transform(message.content, lambda piece: strlen(piece."text"))), 0)
    ))), 0)::BIGINT
FROM (SELECT messages FROM prompts UNION ALL SELECT messages FROM responses)
