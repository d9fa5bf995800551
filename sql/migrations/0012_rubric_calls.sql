-- What models were asked when criteria were extracted, and what they said: an answer is paid for once, a failure is kept.
CREATE TABLE rubric_calls (
    call_id VARCHAR NOT NULL, rubric VARCHAR, step VARCHAR, prompt_ids VARCHAR[], outcome VARCHAR, reason VARCHAR,
    raw VARCHAR, revision VARCHAR, tokens_in BIGINT, tokens_out BIGINT, seconds DOUBLE, run_id VARCHAR
);
