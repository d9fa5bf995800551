-- Labels by confidence and by what is done with them. $1 how many bins; a confidence of 1 is in the last.
SELECT least(floor(round(confidence * $1, 9)), $1 - 1) / $1 AS low, status, count(*) AS labels
FROM final_preferences
WHERE outcome <> 'tie' AND confidence IS NOT NULL
GROUP BY ALL
ORDER BY low, status
