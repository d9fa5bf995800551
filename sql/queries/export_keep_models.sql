-- Leave out pairs of which a response is not by one of the models. $1 the models.
UPDATE selection
SET reason = 'by another model'
WHERE reason IS NULL AND (prompt_id, response_a, response_b) NOT IN (
    SELECT selection.prompt_id, response_a, response_b
    FROM selection
    JOIN responses AS a ON a.response_id = response_a
    JOIN responses AS b ON b.response_id = response_b
    WHERE a.model IN (SELECT unnest($1::VARCHAR[])) AND b.model IN (SELECT unnest($1::VARCHAR[]))
)
