SELECT prompt_id, response_id, model, (SELECT sum(length(part."text")) FROM (SELECT unnest(content) AS part)) AS length
FROM responses
