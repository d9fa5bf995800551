-- How much each annotator was asked, by judgment (a list counts once), how often that failed, and which judgments they are.
SELECT
    annotator_id, any_value(kind) AS kind, count(*) AS n,
    round(count(*) FILTER (outcome = 'failed') / count(*), 6) AS failure_rate,
    bit_xor(hash(judgment_id)) AS digest
FROM current_judgments
GROUP BY annotator_id
ORDER BY annotator_id
