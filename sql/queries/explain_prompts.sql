-- The prompts that $1 may mean: by id, by the caller's key, or by the beginning of an id.
SELECT prompt_id, "key", prompt_id = $1 OR "key" = $1 AS exact
FROM prompts
WHERE prompt_id = $1 OR "key" = $1 OR (length($1) >= 4 AND starts_with(prompt_id, $1))
ORDER BY exact DESC, prompt_id
