-- Who said what how often, in which order shown, by judgment (a list counts once), and which judgments these are.
CREATE OR REPLACE TEMP TABLE spoken AS
SELECT annotator_id, revision, kind, form, outcome, shown, count(*) AS n, bit_xor(hash(judgment_id)) AS digest
FROM judgments
ANTI JOIN superseded USING (judgment_id)
WHERE aspect IS NOT DISTINCT FROM getvariable('aspect')::VARCHAR
GROUP BY ALL;

-- Who of the panel that is, without reading the judgments once more.
CREATE OR REPLACE TEMP VIEW speakers AS
SELECT DISTINCT annotator_id, kind, revision FROM spoken SEMI JOIN panel USING (annotator_id, revision)
