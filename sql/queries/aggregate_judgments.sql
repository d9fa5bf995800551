-- All that is said about pairs, by the panel and others, in any order. Ids are hashed, and so is the way of saying it (see
-- aggregate_ways.sql): DuckDB does that once for each entry of a Parquet dictionary, where a join would look up each row.
-- {judgments}: those that nothing supersedes.
SELECT
    hash(response_a) AS a, hash(response_b) AS b, hash(annotator_id, revision, kind, outcome, shown) AS way, p_a::FLOAT AS p_a
FROM (
    SELECT response_a, response_b, annotator_id, revision, kind, outcome, shown, p_a
    FROM {judgments}
    WHERE form = 'pairwise' AND aspect IS NOT DISTINCT FROM getvariable('aspect')::VARCHAR
    UNION ALL
    SELECT response_a, response_b, annotator_id, revision, kind, outcome, shown, p_a
    FROM pairwise_statements
    WHERE form <> 'pairwise'
)
