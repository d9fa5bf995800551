-- The selected ratings and lists with what their prompts are made of; answers in the order shown. $1 iteration.
WITH chosen AS (
    SELECT current_judgments.*, selection.confidence, coalesce(listed, [current_judgments.response_a]) AS asked
    FROM current_judgments
    JOIN (FROM selection WHERE reason IS NULL) AS selection USING (judgment_id)
),
placed AS (
    SELECT judgment_id, unnest(asked) AS response_id, generate_subscripts(asked, 1) AS place FROM chosen
),
shown AS (
    SELECT
        judgment_id,
        list({'response_id': response_id, 'messages': responses.messages} ORDER BY place) AS answers
    FROM placed
    JOIN responses USING (response_id)
    GROUP BY judgment_id
)
SELECT
    prompts.messages, prompts.reference, prompts.meta, prompts.tools, j.prompt_id, j.judgment_id, j.annotator_id, j.form,
    j.sample, j.asked AS responses, answers, j.score, j.raw, j.rationale, j.confidence, $1::INTEGER AS iteration
FROM chosen AS j
JOIN shown USING (judgment_id)
JOIN prompts USING (prompt_id)
ORDER BY memory.batch_of(j.prompt_id), j.prompt_id, j.annotator_id, j.sample, j.asked, j.judgment_id
