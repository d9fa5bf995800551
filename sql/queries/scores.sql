-- One line per benchmark and subject, best first; training's own held-out figures come last.
SELECT
    benchmark, subject,
    max(value) FILTER (metric = 'accuracy') AS accuracy,
    max(low) FILTER (metric = 'accuracy') AS low, max(high) FILTER (metric = 'accuracy') AS high,
    max(n) FILTER (metric = 'accuracy') AS n,
    max(value) FILTER (metric = 'best-of-n') AS best_of_n, max(value) FILTER (metric = 'coverage') AS coverage
FROM evaluations
WHERE subset = 'all'
GROUP BY benchmark, subject
HAVING accuracy IS NOT NULL
ORDER BY benchmark = 'held-out labels', benchmark, accuracy DESC, subject
