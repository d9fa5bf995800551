-- The labels in one aspect ($1): pairs, ties, pairs that have a winner here and as a whole, and how many have the same one.
SELECT
    count(*), count(*) FILTER (about.outcome = 'tie'),
    count(*) FILTER (about.outcome <> 'tie' AND whole.outcome <> 'tie'),
    count(*) FILTER (about.outcome <> 'tie' AND whole.outcome = about.outcome)
FROM aspect_preferences AS about
LEFT JOIN (FROM preferences WHERE iteration = 0) AS whole USING (prompt_id, response_a, response_b)
WHERE aspect = $1
