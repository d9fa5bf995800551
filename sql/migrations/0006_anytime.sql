-- The memory of the guarantee: what tested which revision of the panel's labels, and what is left of delta.
CREATE TABLE guarantee_tests (
    revision BIGINT, identity VARCHAR, share DOUBLE, wealth DOUBLE, remains DOUBLE, lead DOUBLE, looks BIGINT,
    learnt BIGINT, tested BIGINT, errors BIGINT, holds BOOLEAN, iteration BIGINT, run_id VARCHAR
);
CREATE TABLE tested_labels (
    prompt_id VARCHAR NOT NULL, response_a VARCHAR, response_b VARCHAR, direction BIGINT, p_a DOUBLE, stratum VARCHAR,
    revision BIGINT, iteration BIGINT, run_id VARCHAR
);
CREATE TABLE label_uses (
    prompt_id VARCHAR NOT NULL, response_a VARCHAR, response_b VARCHAR, use VARCHAR, agrees BIGINT, place BIGINT,
    revision BIGINT, iteration BIGINT, run_id VARCHAR
);
