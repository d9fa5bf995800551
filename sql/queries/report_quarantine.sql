-- Why rows were not taken in, with one place to look at. $1 how many reasons.
SELECT
    reason, count(*) AS number, count(DISTINCT source) AS sources,
    arg_min({'source': source, 'line': line, 'raw': raw[:300]}, (source, line)) AS example,
    count(*) OVER () AS reasons, sum(count(*)) OVER () AS total
FROM quarantine
GROUP BY reason
ORDER BY number DESC, reason
LIMIT $1
