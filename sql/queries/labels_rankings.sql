-- The last iteration's rankings by the caller's keys (the lake's ids where there are none).
SELECT
    coalesce(asked."key", asked.prompt_id) AS prompt, coalesce(answer."key", answer.response_id) AS response,
    answer.model, ranking.rank, ranking.score, ranking.score_sd
FROM final_rankings AS ranking
JOIN prompts AS asked USING (prompt_id)
JOIN responses AS answer USING (response_id)
ORDER BY prompt, rank, response, asked.prompt_id
