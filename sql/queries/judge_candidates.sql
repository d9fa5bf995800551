-- Ids alone, of all prompts with at least two responses that no filter drops: what a judge's questions are made of.
WITH dropped AS (SELECT item_id FROM lake.filter_decisions WHERE memory.leaves_out(action))
SELECT prompt_id, list(response_id ORDER BY response_id) AS ids
FROM lake.responses SEMI JOIN lake.prompts USING (prompt_id)
ANTI JOIN dropped AS prompt ON prompt.item_id = prompt_id
ANTI JOIN dropped AS response ON response.item_id = response_id
GROUP BY prompt_id
HAVING count(*) > 1
ORDER BY prompt_id
