-- What the lake has of one project's tasks (the relation `seen` (task)): current answers, with what tells them apart.
SELECT
    task, annotator_id, judgment_id, outcome, prompt_id, form, response_a, response_b, listed, shown, revision,
    aspect, asked_as,
    details->>'place' AS place, details->>'digest' AS digest,
    CAST(details->'item' AS BIGINT) AS item
FROM human_answers
SEMI JOIN seen USING (task)
