-- The selected pairs as rows of the format trl-preference, but for their texts and models. $1 iteration.
WITH decided AS (
    SELECT
        preferences.*,
        if(outcome = 'a', response_a, response_b) AS chosen_id,
        if(outcome = 'a', response_b, response_a) AS rejected_id,
        if(outcome = 'a', strength, -strength) AS lead
    FROM preferences
    SEMI JOIN (FROM selection WHERE reason IS NULL) USING (prompt_id, response_a, response_b)
    WHERE iteration = $1
)
SELECT
    prompt_id, chosen_id, rejected_id, confidence, lead AS strength, greatest(lead, 0) AS margin, n_judgments, iteration
FROM decided
ORDER BY memory.batch_of(prompt_id), prompt_id, response_a, response_b
