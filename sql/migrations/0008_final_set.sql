-- Which label set is the final one, and why.
ALTER TABLE assessments ADD COLUMN is_final BOOLEAN;
ALTER TABLE assessments ADD COLUMN final_reason VARCHAR;
