-- What the filters say of prompts and responses: decisions with their reasons. Nothing is ever deleted for them.
CREATE TABLE filter_decisions (
    "filter" VARCHAR NOT NULL, revision VARCHAR, target VARCHAR, item_id VARCHAR NOT NULL, prompt_id VARCHAR,
    action VARCHAR, reason VARCHAR, score DOUBLE, other VARCHAR, run_id VARCHAR
);
