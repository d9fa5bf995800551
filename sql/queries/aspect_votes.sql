-- What each annotator says of each pair in the aspect that the variable `aspect` names; $1 its name in the rows.
SELECT
    prompt_id, response_a, response_b, $1::VARCHAR AS aspect, annotator_id,
    sign(avg(CASE outcome WHEN 'a' THEN 1 WHEN 'b' THEN -1 ELSE 0 END))::BIGINT AS verdict
FROM pairwise_statements
WHERE outcome IN ('a', 'b', 'tie')
GROUP BY prompt_id, response_a, response_b, annotator_id
