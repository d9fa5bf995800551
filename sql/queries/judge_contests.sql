-- Prompts that have something to compare, with their responses in the order of their ids. `wanted`: prompt ids.
SELECT p.prompt_id, p.messages, p.reference, r.ids, r.answers, p.meta, p.tools
FROM lake.prompts p
JOIN (
    SELECT prompt_id, list(response_id ORDER BY response_id) AS ids, list(messages ORDER BY response_id) AS answers
    FROM lake.responses SEMI JOIN wanted USING (prompt_id)
    ANTI JOIN (FROM lake.filter_decisions WHERE memory.leaves_out(action)) AS dropped ON item_id = response_id
    GROUP BY prompt_id
) r USING (prompt_id)
ORDER BY p.prompt_id
