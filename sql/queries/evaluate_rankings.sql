-- The rank of every response of `gold_responses` (prompt_id, response_id) in the rankings of every iteration.
SELECT
    format('ensemble, iteration {}', iteration) AS subject, prompt_id, response_id, -rank::DOUBLE AS score
FROM rankings
JOIN gold_responses USING (prompt_id, response_id)
ORDER BY ALL
