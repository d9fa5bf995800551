-- Ids alone, of all prompts with at least two responses: what a judge's questions are made of.
SELECT prompt_id, list(response_id ORDER BY response_id) AS ids
FROM lake.responses SEMI JOIN lake.prompts USING (prompt_id)
GROUP BY prompt_id
HAVING count(*) > 1
ORDER BY prompt_id
