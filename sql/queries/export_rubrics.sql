-- The selected prompts, each with its own rubrics and those for all prompts, newest first.
WITH known AS (
    SELECT
        prompt_id,
        list({'name': name, 'revision': revision, 'aspect': aspect, 'criteria': criteria, 'origin': origin} ORDER BY rowid DESC)
            AS rubrics
    FROM rubrics
    GROUP BY prompt_id
)
SELECT
    prompts.prompt_id, messages AS prompt, tools, source, split, reference, "key",
    own.rubrics AS own, (SELECT rubrics FROM known WHERE prompt_id IS NULL) AS common
FROM prompts
SEMI JOIN (FROM selection WHERE reason IS NULL) USING (prompt_id)
LEFT JOIN known AS own ON own.prompt_id = prompts.prompt_id
ORDER BY memory.batch_of(prompts.prompt_id), prompts.prompt_id
