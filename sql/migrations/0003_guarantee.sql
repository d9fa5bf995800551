-- How well each prompt's judgments fit one order, and what may be promised about the labels.
CREATE TABLE graphs (
    prompt_id VARCHAR NOT NULL, responses BIGINT, pairs BIGINT, weight DOUBLE, dropped_weight DOUBLE, margin DOUBLE,
    is_exact BOOLEAN, is_unique BOOLEAN, iteration BIGINT, run_id VARCHAR
);
CREATE TABLE guarantees (
    stratum VARCHAR NOT NULL, pairs BIGINT, accepted BIGINT, threshold DOUBLE, alpha DOUBLE, delta DOUBLE, labels BIGINT,
    tested BIGINT, errors BIGINT, upper DOUBLE, labels_needed BIGINT, iteration BIGINT, run_id VARCHAR
);
CREATE TABLE assessments (
    holds BOOLEAN, claim VARCHAR, delta DOUBLE, labels BIGINT, learnt BIGINT, tested BIGINT, drawn BOOLEAN, pairs BIGINT,
    accepted BIGINT, error DOUBLE, error_low DOUBLE, error_high DOUBLE, calibration VARCHAR, ece_before DOUBLE,
    ece DOUBLE, bin_confidence DOUBLE[], bin_accuracy DOUBLE[], bin_count BIGINT[], iteration BIGINT, run_id VARCHAR
);
