-- What the annotators of `panel` have said about pairs of the prompts in `wanted` (ids between $1 and $2): the mean
-- probability that the first is better, null where they only failed or abstained.
SELECT
    prompt_id, response_a, response_b,
    avg(coalesce(p_a, CASE outcome WHEN 'a' THEN 1.0 WHEN 'b' THEN 0.0 WHEN 'tie' THEN 0.5 END))
        FILTER (outcome IN ('a', 'b', 'tie')) AS p
FROM pairwise_statements
SEMI JOIN wanted USING (prompt_id)
WHERE prompt_id BETWEEN $1 AND $2
GROUP BY ALL
