-- What the panel says today. The temporary table `panel` (annotator_id, revision) says whose judgments count.
CREATE OR REPLACE TEMP VIEW current_judgments AS
SELECT judgments.* FROM judgments SEMI JOIN panel USING (annotator_id, revision)
