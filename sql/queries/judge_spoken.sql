-- The prompts in `wanted` (ids between $1 and $2) about which an annotator of `panel` has said anything at all.
SELECT DISTINCT prompt_id
FROM current_judgments
SEMI JOIN wanted USING (prompt_id)
WHERE prompt_id BETWEEN $1 AND $2
