-- Of the pairs that tested both label sets, blind: in how many only the one with the model agreed with people, in how many
-- only the panel's did, and how many there are.
WITH tested AS (
    SELECT prompt_id, response_a, response_b, iteration, arg_max(agrees, revision) AS agrees
    FROM label_uses
    WHERE use = 'test' AND agrees <> 0 AND iteration IN (0, 1)
    GROUP BY ALL
)
SELECT
    count(*) FILTER (b.agrees > a.agrees) AS gained, count(*) FILTER (b.agrees < a.agrees) AS lost, count(*) AS pairs
FROM tested AS a
JOIN tested AS b USING (prompt_id, response_a, response_b)
WHERE a.iteration = 0 AND b.iteration = 1
