-- Models by how often their responses win. A response's share of wins is over the pairs of its prompt (a tie is half a
-- win); the deviation is over prompts, since the pairs of one prompt hang together. $1 how many models.
-- Rounded, since the order in which a parallel sum adds up is not fixed.
WITH sides AS (
    SELECT prompt_id, response_a AS response_id, CASE outcome WHEN 'a' THEN 1.0 WHEN 'b' THEN 0.0 ELSE 0.5 END AS won
    FROM final_preferences
    WHERE status <> 'discarded'
    UNION ALL
    SELECT prompt_id, response_b, CASE outcome WHEN 'b' THEN 1.0 WHEN 'a' THEN 0.0 ELSE 0.5 END
    FROM final_preferences
    WHERE status <> 'discarded'
),
per_prompt AS (
    SELECT model, sides.prompt_id, avg(won) AS won, count(*) AS pairs
    FROM sides
    JOIN responses USING (response_id)
    WHERE model IS NOT NULL
    GROUP BY model, sides.prompt_id
),
wins AS (
    SELECT model, count(*) AS prompts, sum(pairs)::BIGINT AS pairs, round(avg(won), 9) AS win_rate,
        round(stddev_samp(won), 9) AS deviation
    FROM per_prompt
    GROUP BY model
),
places AS (
    SELECT model, count(*) AS responses, round(avg(rank), 9) AS mean_rank, avg((rank = 1)::INTEGER) AS first_share
    FROM final_rankings
    JOIN responses USING (response_id)
    WHERE model IS NOT NULL
    GROUP BY model
)
SELECT model, prompts, pairs, win_rate, deviation, responses, mean_rank, first_share, count(*) OVER () AS models
FROM wins
LEFT JOIN places USING (model)
ORDER BY win_rate DESC, model
LIMIT $1
