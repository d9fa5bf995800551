-- Every response that no filter leaves out, prompt by prompt.
SELECT prompt_id, response_id
FROM responses
WHERE response_id NOT IN (SELECT item_id FROM dropped_by_filter) AND prompt_id NOT IN (SELECT item_id FROM dropped_by_filter)
ORDER BY prompt_id, response_id
