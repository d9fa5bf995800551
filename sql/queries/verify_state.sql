-- What the lake has of one project's tasks (the relation `seen` (task)): current answers, with what tells them apart.
SELECT
    task, annotator_id, judgment_id, outcome, prompt_id, form, response_a, response_b, listed, shown, revision,
    json_extract_string(raw, '$.place') AS place, json_extract_string(raw, '$.digest') AS digest,
    CAST(json_extract(raw, '$.item') AS BIGINT) AS item
FROM current_answers
SEMI JOIN seen USING (task)
