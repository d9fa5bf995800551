-- The panel, for the dataset card: agreement with the labels of one iteration. $1 iteration (null: no labels).
WITH labels AS (
    SELECT response_a, response_b, outcome AS label
    FROM preferences
    WHERE iteration = $1 AND outcome <> 'tie'
)
SELECT
    annotator_id, any_value(kind), count(*) AS judgments,
    avg((outcome = label)::INTEGER) FILTER (outcome IN ('a', 'b')) AS agreement,
    avg((outcome = 'tie')::INTEGER) FILTER (form = 'pairwise' AND outcome <> 'failed') AS ties,
    avg((outcome = 'failed')::INTEGER) AS failed
FROM current_judgments
LEFT JOIN labels USING (response_a, response_b)
GROUP BY annotator_id
ORDER BY annotator_id
