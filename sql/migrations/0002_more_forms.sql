-- Ratings with a distribution, listwise judgments, second thoughts of people, and what people are asked.
ALTER TABLE judgments ADD COLUMN score_sd DOUBLE;
ALTER TABLE judgments ADD COLUMN listed VARCHAR[];
ALTER TABLE judgments ADD COLUMN scores DOUBLE[];
ALTER TABLE judgments ADD COLUMN supersedes VARCHAR;
CREATE TABLE verify_tasks (
    task_id VARCHAR NOT NULL, prompt_id VARCHAR NOT NULL, form VARCHAR, responses VARCHAR[], strategy VARCHAR,
    purpose VARCHAR, priority DOUBLE, probability DOUBLE, run_id VARCHAR
);
