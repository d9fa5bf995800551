-- Which responses some ratings or rankings (bound as `refs`: row, prompt, response) speak of. A reference is the caller's
-- key or the lake's id.
SELECT DISTINCT refs."row", refs.response, p.prompt_id, r.response_id
FROM refs
JOIN prompts AS p ON p."key" = refs.prompt OR p.prompt_id = refs.prompt
JOIN responses AS r ON r.prompt_id = p.prompt_id AND (r."key" = refs.response OR r.response_id = refs.response)
ORDER BY ALL
