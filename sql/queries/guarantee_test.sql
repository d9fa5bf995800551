-- The newest revision under test of a label set. $1 iteration.
SELECT revision, identity, share, wealth, remains, lead, looks, holds
FROM guarantee_tests
WHERE iteration = $1
ORDER BY revision DESC
LIMIT 1
