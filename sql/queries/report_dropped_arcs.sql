-- The heaviest evidence that denoising overruled, with the beginning of the texts. $1 how many.
WITH heaviest AS (
    SELECT *, count(*) OVER () AS arcs, sum(weight) OVER () AS total
    FROM final_dropped_arcs
    ORDER BY weight DESC, prompt_id, winner, loser
    LIMIT $1
),
texts AS (
    SELECT
        response_id, model,
        memory.response_text(messages) AS text
    FROM responses
    SEMI JOIN heaviest USING (prompt_id)
),
questions AS (
    SELECT
        prompt_id,
        memory.content_text(messages[-1].content) AS text
    FROM prompts
    SEMI JOIN heaviest USING (prompt_id)
)
SELECT
    heaviest.prompt_id, questions.text AS prompt, weight, w.text AS winner, w.model AS winner_model,
    l.text AS loser, l.model AS loser_model, ranks.rank AS winner_rank, others.rank AS loser_rank, arcs, total
FROM heaviest
LEFT JOIN questions ON questions.prompt_id = heaviest.prompt_id
LEFT JOIN texts AS w ON w.response_id = winner
LEFT JOIN texts AS l ON l.response_id = loser
LEFT JOIN final_rankings AS ranks ON ranks.response_id = winner
LEFT JOIN final_rankings AS others ON others.response_id = loser
ORDER BY weight DESC, prompt_id, winner, loser
