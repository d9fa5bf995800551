-- Why rows were not taken in, most frequent first, each with a place to look.
SELECT
    source, regexp_replace(reason, '''[^'']*''|\d+', '…', 'g') AS reason, count(*) AS "rows", min(line) AS first_line
FROM quarantine
GROUP BY ALL
ORDER BY "rows" DESC, source, reason
LIMIT 12
