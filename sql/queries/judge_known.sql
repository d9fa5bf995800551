-- What a judge has said so far, at one revision, about the prompts with ids from $3 to $4. A chunk's ids are neighbours,
-- so that files without any of them need not be read.
SELECT judgment_id, outcome = 'failed' AS failed
FROM lake.judgments
WHERE annotator_id = $1 AND revision = $2 AND prompt_id BETWEEN $3 AND $4
