-- Per judge: how often its verdict flipped under the style attack, and which edit flipped most of its trials.
WITH attack AS (SELECT * FROM evaluations WHERE benchmark = 'style attack' AND metric = 'flip-rate'),
worst AS (
    SELECT subject, arg_max(subset, (value, subset)) AS edit, max(value) AS rate
    FROM attack
    WHERE subset <> 'all' AND value > 0
    GROUP BY subject
)
SELECT attack.subject, attack.value, attack.low, attack.high, attack.n, worst.edit, worst.rate
FROM attack LEFT JOIN worst USING (subject)
WHERE attack.subset = 'all'
ORDER BY attack.value, attack.subject
