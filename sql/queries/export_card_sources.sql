-- How many prompts each source gave.
SELECT source, count(*) FROM prompts GROUP BY source ORDER BY source
