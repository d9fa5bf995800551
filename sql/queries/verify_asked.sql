-- The pairs about which people are asked as a whole, or whose prompt they are asked to rank.
SELECT prompt_id, responses[1] AS response_a, responses[2] AS response_b, purpose, strategy = 'random' AS random
FROM queued_questions
WHERE asked_as = 'pairwise' AND aspect IS NULL
UNION ALL
SELECT prompt_id, a, b, 'label', false
FROM (
    SELECT prompt_id, a, unnest(sorted_responses) AS b
    FROM (
        SELECT prompt_id, sorted_responses, unnest(sorted_responses) AS a
        FROM queued_questions
        WHERE asked_as = 'ranking' AND purpose = 'label' AND aspect IS NULL
    )
)
WHERE a < b
