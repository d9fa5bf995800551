-- How much each annotator of the panel was asked, how often that failed, and which judgments they are.
SELECT
    annotator_id, any_value(kind) AS kind, sum(n)::BIGINT AS n,
    round(coalesce(sum(n) FILTER (outcome = 'failed'), 0) / sum(n), 6) AS failure_rate,
    bit_xor(digest) AS digest
FROM spoken
SEMI JOIN panel USING (annotator_id, revision)
GROUP BY annotator_id
ORDER BY annotator_id
