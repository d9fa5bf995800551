-- How much each annotator was asked, by judgment (a list counts once), how often that failed, and which judgments they are.
-- What is not the panel's goes when few rows are left.
WITH revisions AS (
    SELECT
        annotator_id, revision, any_value(kind) AS kind, count(*) AS n, count(*) FILTER (outcome = 'failed') AS failed,
        bit_xor(hash(judgment_id)) AS digest
    FROM judgments
    ANTI JOIN superseded USING (judgment_id)
    GROUP BY annotator_id, revision
)
SELECT
    annotator_id, any_value(kind) AS kind, sum(n)::BIGINT AS n, round(sum(failed) / sum(n), 6) AS failure_rate,
    bit_xor(digest) AS digest
FROM revisions
SEMI JOIN panel USING (annotator_id, revision)
GROUP BY annotator_id
ORDER BY annotator_id
