-- How much each annotator was asked, by judgment (a list counts once), and how often that failed.
SELECT
    annotator_id, any_value(kind) AS kind, count(*) AS n,
    round(count(*) FILTER (outcome = 'failed') / count(*), 6) AS failure_rate
FROM current_judgments
GROUP BY annotator_id
ORDER BY annotator_id
