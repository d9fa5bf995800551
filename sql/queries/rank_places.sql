-- The rank of every response of a named model within its prompt, prompt by prompt.
SELECT final_rankings.prompt_id, model, rank FROM final_rankings JOIN responses USING (response_id)
WHERE model IS NOT NULL
ORDER BY final_rankings.prompt_id, response_id
