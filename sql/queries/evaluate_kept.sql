-- The scores of some subjects on a benchmark, in the order in which they were filed: models before baselines.
SELECT subject, metric, subset, value, low, high, n
FROM evaluations
WHERE benchmark = $1 AND list_contains($2, subject)
ORDER BY list_position($2, subject), rowid
