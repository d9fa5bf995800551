-- All that is said about pairs as numbers, in any order, by the panel and others. Ids and annotators (with their
-- revisions) are hashed, which DuckDB does once for each entry of a Parquet dictionary; a join would look up each row.
-- `outcome`: 2 says nothing, 3 is no outcome. {judgments}: those that nothing supersedes.
SELECT
    hash(response_a) AS a,
    hash(response_b) AS b,
    hash(annotator_id, revision) AS annotator,
    (kind = 'human')::TINYINT AS human,
    CASE outcome WHEN 'a' THEN 1 WHEN 'b' THEN -1 WHEN 'tie' THEN 0 WHEN 'abstain' THEN 2 WHEN 'failed' THEN 2 ELSE 3 END::TINYINT
        AS outcome,
    CASE shown WHEN 'ab' THEN 1 WHEN 'ba' THEN -1 ELSE 0 END::TINYINT AS shown,
    p_a::FLOAT AS p_a
FROM (
    SELECT response_a, response_b, annotator_id, revision, kind, outcome, shown, p_a
    FROM {judgments}
    WHERE form = 'pairwise'
    UNION ALL
    SELECT response_a, response_b, annotator_id, revision, kind, outcome, shown, p_a
    FROM pairwise_statements
    WHERE form <> 'pairwise'
)
