-- The contract of the lake: one table per record of curate/records.py, the same columns in the same order.
CREATE TABLE prompts (
    prompt_id VARCHAR NOT NULL,
    messages STRUCT("role" VARCHAR, content STRUCT("type" VARCHAR, "text" VARCHAR, uri VARCHAR, sha256 VARCHAR)[])[],
    source VARCHAR, split VARCHAR, reference VARCHAR, "key" VARCHAR, meta VARCHAR
);
CREATE TABLE responses (
    response_id VARCHAR NOT NULL, prompt_id VARCHAR NOT NULL, model VARCHAR,
    content STRUCT("type" VARCHAR, "text" VARCHAR, uri VARCHAR, sha256 VARCHAR)[],
    "key" VARCHAR, meta VARCHAR
);
CREATE TABLE judgments (
    judgment_id VARCHAR NOT NULL, prompt_id VARCHAR NOT NULL, annotator_id VARCHAR NOT NULL, kind VARCHAR, form VARCHAR,
    response_a VARCHAR, response_b VARCHAR, shown VARCHAR, outcome VARCHAR, p_a DOUBLE, score DOUBLE, ranking VARCHAR[],
    rationale VARCHAR, raw VARCHAR, revision VARCHAR, sample BIGINT, tokens_in BIGINT, tokens_out BIGINT,
    seconds DOUBLE, run_id VARCHAR
);
CREATE TABLE preferences (
    prompt_id VARCHAR NOT NULL, response_a VARCHAR NOT NULL, response_b VARCHAR NOT NULL, p_a DOUBLE, strength DOUBLE,
    outcome VARCHAR, status VARCHAR, confidence DOUBLE, n_judgments BIGINT, dropped_weight DOUBLE, reason VARCHAR,
    iteration BIGINT, run_id VARCHAR
);
CREATE TABLE rankings (
    prompt_id VARCHAR NOT NULL, response_id VARCHAR NOT NULL, rank BIGINT, score DOUBLE, score_sd DOUBLE,
    iteration BIGINT, run_id VARCHAR
);
CREATE TABLE dropped_arcs (
    prompt_id VARCHAR NOT NULL, winner VARCHAR, loser VARCHAR, weight DOUBLE, iteration BIGINT, run_id VARCHAR
);
CREATE TABLE annotators (
    annotator_id VARCHAR NOT NULL, kind VARCHAR, ability DOUBLE, position_bias DOUBLE, tie_rate DOUBLE,
    length_bias DOUBLE, calibration_error DOUBLE, agreement DOUBLE, failure_rate DOUBLE, n BIGINT, iteration BIGINT,
    run_id VARCHAR
);
CREATE TABLE quarantine (
    quarantine_id VARCHAR NOT NULL, source VARCHAR, line BIGINT, reason VARCHAR, raw VARCHAR, run_id VARCHAR
);
CREATE TABLE evaluations (
    subject VARCHAR, benchmark VARCHAR, subset VARCHAR, metric VARCHAR, value DOUBLE, low DOUBLE, high DOUBLE, n BIGINT,
    run_id VARCHAR
);
CREATE TABLE runs (
    run_id VARCHAR NOT NULL, stage VARCHAR, part VARCHAR, chunk BIGINT, fingerprint VARCHAR, config_hash VARCHAR,
    code_version VARCHAR, snapshot_in BIGINT, rows_in BIGINT, rows_kept BIGINT, rows_duplicate BIGINT,
    rows_dropped BIGINT, tokens_in BIGINT, tokens_out BIGINT, cost DOUBLE, seconds DOUBLE, status VARCHAR,
    details VARCHAR, started_at VARCHAR, finished_at VARCHAR
);
