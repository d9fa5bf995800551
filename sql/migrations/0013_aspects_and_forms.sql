-- How people were asked: the form, and the one aspect that the question is about.
ALTER TABLE judgments ADD COLUMN asked_as VARCHAR;
ALTER TABLE verify_tasks ADD COLUMN asked_as VARCHAR;
ALTER TABLE verify_tasks ADD COLUMN aspect VARCHAR;
-- Labels and rankings in one aspect alone; those of responses as a whole stay in `preferences` and `rankings`.
CREATE TABLE aspect_preferences (
    prompt_id VARCHAR NOT NULL, response_a VARCHAR NOT NULL, response_b VARCHAR NOT NULL, aspect VARCHAR NOT NULL,
    p_a DOUBLE, strength DOUBLE, outcome VARCHAR, status VARCHAR, confidence DOUBLE, n_judgments BIGINT, run_id VARCHAR
);
CREATE TABLE aspect_rankings (
    prompt_id VARCHAR NOT NULL, response_id VARCHAR NOT NULL, aspect VARCHAR NOT NULL, rank BIGINT, score DOUBLE,
    score_sd DOUBLE, run_id VARCHAR
);
