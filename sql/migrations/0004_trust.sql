-- What a person's word counts among people's (1: fully); null for judges.
ALTER TABLE annotators ADD COLUMN trust DOUBLE;
