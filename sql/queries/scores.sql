-- One line per benchmark and subject, best first on equal pairs; training's own held-out figures come last. `all_pairs`: the
-- share right of all pairs of the benchmark, of which one that a subject does not judge counts one half, as a coin would
-- earn; its interval is that of `accuracy`, which is over judged pairs, on the same scale.
WITH by_subject AS (
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
)
SELECT
    benchmark, subject, 0.5 + coalesce(coverage, 1) * (accuracy - 0.5) AS all_pairs,
    0.5 + coalesce(coverage, 1) * (low - 0.5) AS low, 0.5 + coalesce(coverage, 1) * (high - 0.5) AS high,
    accuracy, n, best_of_n, coverage
FROM by_subject
ORDER BY benchmark = 'held-out labels', benchmark, all_pairs DESC, subject
