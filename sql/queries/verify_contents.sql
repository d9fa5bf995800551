-- The prompts and responses of the tasks in the relation `wanted` (task_id, prompt_id, responses).
SELECT
    task_id, any_value(prompts.messages) AS messages, any_value(prompts.meta) AS meta,
    list(response_id) AS ids, list(responses.messages) AS answers
FROM (SELECT task_id, prompt_id, unnest(responses) AS response_id FROM wanted)
JOIN prompts USING (prompt_id)
JOIN responses USING (prompt_id, response_id)
GROUP BY task_id
