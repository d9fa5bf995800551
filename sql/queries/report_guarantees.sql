-- The promise for each stratum at the last iteration.
SELECT stratum, pairs, accepted, threshold, alpha, delta, labels, tested, errors, upper, labels_needed
FROM guarantees
WHERE iteration = (SELECT iteration FROM final_iteration)
ORDER BY stratum
