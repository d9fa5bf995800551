-- Every pair of the last aggregation with what the second stage of the loop compares, as probabilities that a is better:
-- $1 name and $2 revision of the best model, $3 name and $4 revision of the one trained on people's verdicts alone.
-- `original`: the label that came with the data; `panel`: the mean vote of the judges. Null where nothing was said.
WITH votes AS (
    SELECT prompt_id, response_a, response_b, annotator_id, kind,
        avg(CASE outcome WHEN 'a' THEN 1.0 WHEN 'b' THEN 0.0 ELSE 0.5 END) AS vote
    FROM pairwise_statements
    WHERE kind <> 'human' AND outcome IN ('a', 'b', 'tie') AND annotator_id NOT IN ($1, $3)
    GROUP BY ALL
), said AS (
    SELECT prompt_id, response_a, response_b,
        avg(vote) FILTER (kind = 'imported') AS original, avg(vote) FILTER (kind <> 'imported') AS panel
    FROM votes GROUP BY ALL
), models AS (
    SELECT prompt_id, response_a, response_b,
        avg(p_a) FILTER (annotator_id = $1 AND revision = $2) AS best,
        avg(p_a) FILTER (annotator_id = $3 AND revision = $4) AS gold
    FROM model_pairs
    WHERE annotator_id IN ($1, $3)
    GROUP BY ALL
)
SELECT preferences.* EXCLUDE (iteration, run_id), original, panel, best, gold
FROM preferences
LEFT JOIN said USING (prompt_id, response_a, response_b)
LEFT JOIN models USING (prompt_id, response_a, response_b)
WHERE iteration = $5
ORDER BY prompt_id, response_a, response_b
