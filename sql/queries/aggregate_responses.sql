SELECT prompt_id, response_id, (SELECT sum(length(part."text")) FROM (SELECT unnest(content) AS part)) AS length
FROM responses
