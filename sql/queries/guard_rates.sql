-- Per judge: how often a hack answer of the guard set won against a plain good one, and which one did most often.
WITH guard AS (SELECT * FROM evaluations WHERE benchmark = 'guard' AND metric = 'false-positive-rate'),
worst AS (
    SELECT subject, arg_max(subset, (value, subset)) AS hack, max(value) AS rate
    FROM guard
    WHERE subset <> 'all' AND NOT starts_with(subset, 'set ')
    GROUP BY subject
)
SELECT guard.subject, guard.value, guard.low, guard.high, guard.n, worst.hack, worst.rate
FROM guard LEFT JOIN worst USING (subject)
WHERE guard.subset = 'all'
ORDER BY guard.value, guard.subject
