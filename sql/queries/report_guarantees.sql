-- The promise for each stratum at the last iteration.
SELECT stratum, pairs, accepted, threshold, alpha, delta, labels, tested, errors, upper, labels_needed
FROM guarantees
WHERE iteration = (SELECT max(iteration) FROM preferences)
ORDER BY stratum
