SELECT benchmark, subject, metric, value, low, high, n
FROM evaluations
WHERE subset = 'all'
ORDER BY benchmark, metric, value DESC, subject
