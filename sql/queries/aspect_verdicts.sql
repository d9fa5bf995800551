-- The verdict of most annotators on each pair in each aspect (the table `aspect_votes`): 1 a, -1 b, 0 neither.
SELECT prompt_id, response_a, response_b, aspect, sign(sum(verdict))::BIGINT AS verdict
FROM aspect_votes
GROUP BY prompt_id, response_a, response_b, aspect
