-- Which input brought a row, on what terms, and what was forgotten.
ALTER TABLE prompts ADD COLUMN part VARCHAR;
ALTER TABLE responses ADD COLUMN part VARCHAR;
ALTER TABLE judgments ADD COLUMN part VARCHAR;
CREATE TABLE sources (part VARCHAR NOT NULL, source VARCHAR, license VARCHAR, origin VARCHAR, run_id VARCHAR);
CREATE TABLE repeats (
    id VARCHAR NOT NULL, part VARCHAR NOT NULL, source VARCHAR, split VARCHAR, meta VARCHAR, run_id VARCHAR
);
CREATE TABLE forgotten (kind VARCHAR NOT NULL, digest VARCHAR NOT NULL, run_id VARCHAR);
