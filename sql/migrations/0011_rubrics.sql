-- Rubrics as they were written, and what annotators say of responses by each criterion of them.
CREATE TABLE rubrics (
    revision VARCHAR NOT NULL, name VARCHAR NOT NULL, version BIGINT, about VARCHAR, aspect VARCHAR, prompt_id VARCHAR,
    sources VARCHAR[],
    criteria STRUCT(criterion_id VARCHAR, "name" VARCHAR, "text" VARCHAR, kind VARCHAR, weight DOUBLE, reason VARCHAR,
        feature VARCHAR, scale DOUBLE, examples VARCHAR[])[],
    origin VARCHAR, details VARCHAR, run_id VARCHAR
);
CREATE TABLE criterion_verdicts (
    verdict_id VARCHAR NOT NULL, criterion_id VARCHAR NOT NULL, criterion VARCHAR, prompt_id VARCHAR NOT NULL,
    response_id VARCHAR NOT NULL, annotator_id VARCHAR, kind VARCHAR, outcome VARCHAR, p_satisfied DOUBLE,
    value DOUBLE, rationale VARCHAR, raw VARCHAR, revision VARCHAR, sample BIGINT, tokens_in BIGINT, tokens_out BIGINT,
    seconds DOUBLE, run_id VARCHAR
);
