-- Every response with its place by prompt and response id, which votes are numbered by, and its length in characters.
CREATE OR REPLACE TEMP TABLE placed_responses AS
SELECT
    prompt_id, response_id, model,
    list_sum([length(part."text") FOR part IN content]) AS length,
    (row_number() OVER (ORDER BY prompt_id, response_id) - 1)::INTEGER AS place
FROM responses
