-- The selected pairs, and what each annotator of the panel says of them. $1 iteration.
WITH votes AS (
    SELECT
        prompt_id, response_a, response_b, annotator_id, any_value(kind) AS kind, count(*) AS n,
        count(*) FILTER (outcome = 'a') AS for_a, count(*) FILTER (outcome = 'b') AS for_b,
        count(*) FILTER (outcome IN ('abstain', 'failed')) AS silent
    FROM pairwise_statements
    SEMI JOIN (FROM selection WHERE reason IS NULL) USING (prompt_id, response_a, response_b)
    GROUP BY prompt_id, response_a, response_b, annotator_id
),
together AS (
    SELECT prompt_id, response_a, response_b, list({
        'annotator_id': annotator_id, 'kind': kind, 'n': n, 'for_a': for_a, 'for_b': for_b, 'silent': silent
    } ORDER BY annotator_id) AS votes
    FROM votes
    GROUP BY prompt_id, response_a, response_b
),
decided AS (
    SELECT
        preferences.*,
        if(outcome = 'a', response_a, response_b) AS chosen_id,
        if(outcome = 'a', response_b, response_a) AS rejected_id
    FROM preferences
    SEMI JOIN (FROM selection WHERE reason IS NULL) USING (prompt_id, response_a, response_b)
    WHERE iteration = $1
),
candidates AS (
    SELECT response_id, {
        'response_id': response_id, 'model': model, 'text': memory.response_text(messages), 'messages': messages
    } AS response
    FROM responses
    SEMI JOIN (FROM selection WHERE reason IS NULL) USING (prompt_id)
)
SELECT
    decided.prompt_id, prompts.messages AS prompt, prompts.tools, prompts.source,
    chosen_one.response AS chosen, rejected_one.response AS rejected,
    decided.confidence, decided.iteration, coalesce(votes, []) AS votes
FROM decided
JOIN prompts USING (prompt_id)
JOIN candidates AS chosen_one ON chosen_one.response_id = chosen_id
JOIN candidates AS rejected_one ON rejected_one.response_id = rejected_id
LEFT JOIN together ON together.prompt_id = decided.prompt_id
    AND together.response_a = decided.response_a AND together.response_b = decided.response_b
ORDER BY memory.batch_of(decided.prompt_id), decided.prompt_id, decided.response_a, decided.response_b
