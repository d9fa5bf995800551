-- All that the panel says about pairs as numbers, in any order. `a`, `b`: places of the responses, null where there is no
-- such response; `annotator`: its place among the panel's names; `outcome`: 2 says nothing, 3 is no outcome.
SELECT
    first.place AS a,
    second.place AS b,
    names.place AS annotator,
    (kind = 'human')::TINYINT AS human,
    CASE outcome WHEN 'a' THEN 1 WHEN 'b' THEN -1 WHEN 'tie' THEN 0 WHEN 'abstain' THEN 2 WHEN 'failed' THEN 2 ELSE 3 END::TINYINT
        AS outcome,
    CASE shown WHEN 'ab' THEN 1 WHEN 'ba' THEN -1 ELSE 0 END::TINYINT AS shown,
    p_a::FLOAT AS p_a
FROM pairwise_statements
JOIN (
    SELECT annotator_id, (row_number() OVER (ORDER BY annotator_id) - 1)::INTEGER AS place
    FROM (SELECT DISTINCT annotator_id FROM panel)
) AS names USING (annotator_id)
LEFT JOIN placed_responses AS first ON first.response_id = response_a
LEFT JOIN placed_responses AS second ON second.response_id = response_b
