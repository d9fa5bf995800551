-- Each annotator's word on each pair of `gold_pairs` (prompt_id, a, b): the mean, over all that it said of the pair
-- (both orders, all samples), of its probability that a is better. An abstention or a failure says nothing.
WITH pairwise AS (
    SELECT
        annotator_id, kind, prompt_id, response_a AS a, response_b AS b,
        coalesce(p_a, CASE outcome WHEN 'a' THEN 1.0 WHEN 'b' THEN 0.0 ELSE 0.5 END) AS p
    FROM current_judgments
    WHERE form = 'pairwise' AND outcome IN ('a', 'b', 'tie')
),
scores AS (
    SELECT annotator_id, kind, prompt_id, response_a AS response_id, avg(score) AS score
    FROM current_judgments
    WHERE form = 'pointwise' AND score IS NOT NULL AND outcome NOT IN ('abstain', 'failed')
    GROUP BY ALL
),
pointwise AS (
    SELECT one.annotator_id, one.kind, prompt_id, a, b, 0.5 + 0.5 * sign(one.score - other.score) AS p
    FROM gold_pairs
    JOIN scores AS one USING (prompt_id)
    JOIN scores AS other USING (prompt_id, annotator_id)
    WHERE one.response_id = a AND other.response_id = b
),
listwise AS (
    SELECT
        annotator_id, kind, prompt_id, a, b,
        if(list_position(ranking, a) < list_position(ranking, b), 1.0, 0.0) AS p
    FROM gold_pairs
    JOIN current_judgments USING (prompt_id)
    WHERE form = 'listwise' AND outcome NOT IN ('abstain', 'failed')
        AND list_contains(ranking, a) AND list_contains(ranking, b)
)
SELECT annotator_id AS subject, any_value(kind) AS kind, prompt_id, a, b, avg(p) AS p
FROM (
    SELECT pairwise.* FROM pairwise JOIN gold_pairs USING (prompt_id, a, b)
    UNION ALL BY NAME FROM pointwise
    UNION ALL BY NAME FROM listwise
)
GROUP BY annotator_id, prompt_id, a, b
ORDER BY ALL
