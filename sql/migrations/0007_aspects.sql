-- The one criterion that a judgment is about (null: the response as a whole; only such judgments count for labels), and
-- what a tie between two responses says of both: 'both-good' or 'both-bad'.
ALTER TABLE judgments ADD COLUMN aspect VARCHAR;
ALTER TABLE judgments ADD COLUMN tied_as VARCHAR;
