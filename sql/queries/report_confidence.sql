-- Labels by confidence, in bins of 1/40, and by what is done with them.
SELECT
    least(floor(round(confidence * 40, 9)) / 40, 0.975) AS low, status, count(*) AS labels
FROM final_preferences
WHERE outcome <> 'tie' AND confidence IS NOT NULL
GROUP BY ALL
ORDER BY low, status
