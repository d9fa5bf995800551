-- The panel's pairwise judgments; the relation `panel` (annotator_id, revision) says whose count.
-- The id order makes every later floating-point sum the same sum.
SELECT response_a, response_b, annotator_id, kind, outcome, shown, p_a
FROM judgments SEMI JOIN panel USING (annotator_id, revision)
WHERE form = 'pairwise'
ORDER BY prompt_id, judgment_id
