-- The selected judgments with what their prompts are made of. $1 iteration.
SELECT
    prompts.messages, prompts.reference, prompts.meta, prompts.tools, j.prompt_id, j.judgment_id, j.annotator_id,
    j.response_a, j.response_b, a.messages AS messages_a, b.messages AS messages_b, j.shown, j.sample, j.outcome, j.rationale,
    final.outcome AS label, final.confidence, final.iteration
FROM current_judgments AS j
SEMI JOIN (FROM selection WHERE reason IS NULL) USING (judgment_id)
JOIN prompts USING (prompt_id)
JOIN responses AS a ON a.response_id = j.response_a
JOIN responses AS b ON b.response_id = j.response_b
JOIN (FROM preferences WHERE iteration = $1) AS final
    ON final.prompt_id = j.prompt_id AND final.response_a = j.response_a AND final.response_b = j.response_b
ORDER BY memory.batch_of(j.prompt_id), j.prompt_id, j.response_a, j.response_b, j.annotator_id, j.sample, j.shown, j.judgment_id
