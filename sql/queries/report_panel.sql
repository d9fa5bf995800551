-- One row per annotator: how much it said, how it agrees with the labels, and how it takes positions.
WITH said AS (
    SELECT
        annotator_id, any_value(kind) AS kind, count(*) AS judgments,
        count(*) FILTER (outcome = 'failed') AS failed, round(sum(seconds), 6) AS seconds
    FROM current_judgments
    GROUP BY annotator_id
),
labels AS (
    SELECT hash(response_a, response_b) AS pair, outcome AS label FROM final_preferences WHERE outcome <> 'tie'
),
compared AS (
    SELECT
        annotator_id,
        count(*) FILTER (outcome IN ('a', 'b', 'tie')) AS answered,
        count(*) FILTER (outcome = 'tie') AS ties,
        count(*) FILTER (outcome IN ('a', 'b') AND label IS NOT NULL) AS labelled,
        count(*) FILTER (outcome = label) AS agreed,
        count(first_won) AS positioned,
        count(*) FILTER (first_won) AS first_won
    FROM votes
    LEFT JOIN labels USING (pair)
    GROUP BY annotator_id
),
both_orders AS (
    SELECT annotator_id, pair, sample, bool_and(first_won) OR bool_and(NOT first_won) AS follows
    FROM votes
    WHERE first_won IS NOT NULL
    GROUP BY annotator_id, pair, sample
    HAVING count(DISTINCT shown) = 2
),
swapped AS (
    SELECT annotator_id, count(*) AS pairs, count(*) FILTER (follows) AS follow FROM both_orders GROUP BY annotator_id
)
SELECT
    annotator_id, said.kind, judgments, failed, seconds, coalesce(answered, 0) AS answered, coalesce(ties, 0) AS ties,
    coalesce(labelled, 0) AS labelled, coalesce(agreed, 0) AS agreed,
    coalesce(positioned, 0) AS positioned, coalesce(first_won, 0) AS first_won,
    coalesce(swapped.pairs, 0) AS swapped, coalesce(follow, 0) AS follow, ability, trust
FROM said
LEFT JOIN compared USING (annotator_id)
LEFT JOIN swapped USING (annotator_id)
LEFT JOIN (
    SELECT coalesce(name, annotator_id) AS annotator_id, ability, trust FROM final_annotators LEFT JOIN names USING (annotator_id, kind)
) USING (annotator_id)
ORDER BY agreed / nullif(labelled, 0) DESC NULLS LAST, annotator_id
