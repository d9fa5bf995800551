-- What a judge has said so far, at one revision, about the prompts in `wanted`, whose ids lie between $3 and $4
-- (a chunk's ids are neighbours, so files without any of them need not be read).
SELECT judgment_id, outcome = 'failed' AS failed
FROM lake.judgments SEMI JOIN wanted USING (prompt_id)
WHERE annotator_id = $1 AND revision = $2 AND prompt_id BETWEEN $3 AND $4
