-- What was imported about some prompts (bound as `asked`), as ingest compares it.
SELECT
    prompt_id, annotator_id, kind, form, response_a, response_b, shown, outcome, p_a, score, rationale, aspect, tied_as,
    sample
FROM judgments SEMI JOIN asked USING (prompt_id)
WHERE revision = 'imported' AND form IN ('pairwise', 'pointwise');
