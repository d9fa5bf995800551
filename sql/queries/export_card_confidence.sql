-- How sure the exported labels are: one row per tenth of confidence.
SELECT least(floor(round(confidence * 10, 9)) / 10, 0.9) AS low, count(*) AS labels
FROM selection
WHERE reason IS NULL AND confidence IS NOT NULL
GROUP BY low
ORDER BY low
