-- What a judge has said so far, at one revision, about the prompts in `wanted`.
SELECT judgment_id, outcome = 'failed' AS failed
FROM lake.judgments SEMI JOIN wanted USING (prompt_id)
WHERE annotator_id = ? AND revision = ?
