-- The mix of the labelled prompts: how many of each category (`category` in `meta`, else the source) and length.
SELECT
    coalesce(CASE WHEN json_valid(meta) THEN json_extract_string(meta, '$.category') END, source) AS category,
    least(floor(log2(1 + list_sum([coalesce(list_sum([length(piece."text") FOR piece IN turn.content]), 0) FOR turn IN messages]))), 20)::BIGINT AS length,
    count(*) AS prompts
FROM prompts
WHERE prompt_id IN (SELECT prompt_id FROM preferences WHERE iteration = $1)
GROUP BY ALL
ORDER BY ALL
