-- Which prompt and responses some judgments (bound as `refs`: row, prompt, a, b) speak of. A reference is the
-- caller's key or the lake's id. Counts tell unknown (0) from ambiguous (2 or more).
WITH prompt AS (
    SELECT refs."row", refs.a, refs.b, p.prompt_id
    FROM refs JOIN prompts p ON p."key" = refs.prompt
    UNION
    SELECT refs."row", refs.a, refs.b, p.prompt_id
    FROM refs JOIN prompts p ON p.prompt_id = refs.prompt
), candidate AS (
    SELECT r.prompt_id, r.response_id, r."key"
    FROM responses r SEMI JOIN prompt USING (prompt_id)
), response AS (
    SELECT prompt."row", prompt.prompt_id, 'a' AS side, c.response_id
    FROM prompt JOIN candidate c ON c.prompt_id = prompt.prompt_id AND (c."key" = prompt.a OR c.response_id = prompt.a)
    UNION
    SELECT prompt."row", prompt.prompt_id, 'b' AS side, c.response_id
    FROM prompt JOIN candidate c ON c.prompt_id = prompt.prompt_id AND (c."key" = prompt.b OR c.response_id = prompt.b)
), pair AS (
    SELECT x."row", x.prompt_id, x.response_id AS a, y.response_id AS b
    FROM response x JOIN response y ON x."row" = y."row" AND x.prompt_id = y.prompt_id
    WHERE x.side = 'a' AND y.side = 'b'
), counted_pairs AS (
    SELECT "row", count(*) AS pairs, any_value(prompt_id) AS prompt_id, any_value(a) AS a, any_value(b) AS b
    FROM pair GROUP BY "row"
), counted_prompts AS (
    SELECT "row", count(*) AS prompts FROM prompt GROUP BY "row"
), counted_sides AS (
    SELECT "row", count(*) FILTER (side = 'a') AS as_a, count(*) FILTER (side = 'b') AS as_b
    FROM response GROUP BY "row"
)
SELECT refs."row", coalesce(prompts, 0) AS prompts, coalesce(as_a, 0) AS as_a, coalesce(as_b, 0) AS as_b,
       coalesce(pairs, 0) AS pairs, counted_pairs.prompt_id, counted_pairs.a, counted_pairs.b
FROM refs
LEFT JOIN counted_prompts USING ("row")
LEFT JOIN counted_sides USING ("row")
LEFT JOIN counted_pairs USING ("row")
ORDER BY refs."row";
