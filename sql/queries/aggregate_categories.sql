-- A field of the prompts' meta as text, for those that have it. $1 its JSON path.
SELECT prompt_id, json_extract_string(meta, $1) AS category
FROM prompts
WHERE meta IS NOT NULL AND json_extract_string(meta, $1) IS NOT NULL
