-- The pairs that people are asked about because they were drawn at random, in canonical order.
SELECT DISTINCT least(responses[1], responses[2]) AS a, greatest(responses[1], responses[2]) AS b
FROM verify_tasks
WHERE strategy = 'random' AND form = 'pairwise' AND aspect IS NULL AND len(responses) = 2
