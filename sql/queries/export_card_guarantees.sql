-- The promise for each stratum of one iteration. $1 iteration.
SELECT stratum, pairs, accepted, threshold, labels, tested, errors, upper
FROM guarantees
WHERE iteration = $1
ORDER BY stratum
