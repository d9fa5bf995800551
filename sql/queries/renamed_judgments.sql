-- `current_judgments` with the names that tell annotators of one name and several kinds apart (the table `names`).
CREATE OR REPLACE TEMP VIEW current_judgments AS
SELECT judgments.* REPLACE (coalesce(names.name, judgments.annotator_id) AS annotator_id)
FROM judgments
SEMI JOIN panel USING (annotator_id, revision)
ANTI JOIN superseded USING (judgment_id)
LEFT JOIN names ON names.annotator_id = judgments.annotator_id AND names.kind = judgments.kind
WHERE judgments.aspect IS NOT DISTINCT FROM getvariable('aspect')::VARCHAR
