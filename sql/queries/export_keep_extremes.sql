-- Leave out pairs that are not a prompt's best response beside its worst. Of several on one rank, the first by its id
-- stands for all. $1 iteration.
UPDATE selection
SET reason = 'not the best beside the worst'
WHERE reason IS NULL AND (prompt_id, response_a, response_b) NOT IN (
    WITH extremes AS (
        SELECT prompt_id, min(rank) AS best, max(rank) AS worst FROM rankings WHERE iteration = $1 GROUP BY prompt_id
    ),
    ends AS (
        SELECT
            prompt_id, min(response_id) FILTER (rank = best) AS first, min(response_id) FILTER (rank = worst) AS last
        FROM rankings
        JOIN extremes USING (prompt_id)
        WHERE iteration = $1
        GROUP BY prompt_id
    )
    SELECT prompt_id, least(first, last), greatest(first, last) FROM ends
)
