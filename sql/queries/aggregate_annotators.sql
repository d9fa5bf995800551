-- How much each annotator of the panel was asked, how often that failed, and which judgments they are. `name` tells those
-- of one `annotator_id` and several kinds apart.
SELECT
    annotator_id, kind, coalesce(name, annotator_id) AS name, sum(n)::BIGINT AS n,
    round(coalesce(sum(n) FILTER (outcome = 'failed'), 0) / sum(n), 6) AS failure_rate,
    bit_xor(digest) AS digest
FROM spoken
SEMI JOIN panel USING (annotator_id, revision)
LEFT JOIN renamed USING (annotator_id, kind)
GROUP BY ALL
ORDER BY annotator_id, kind
