-- What was imported about some prompts (bound as `asked`), as ingest compares it. `responses`: two of a pair, one of a
-- rating, none of a ranking, whose order shown nobody knows.
SELECT prompt_id, annotator_id, kind, form,
    CASE form WHEN 'pairwise' THEN [response_a, response_b] WHEN 'pointwise' THEN [response_a] ELSE [] END AS responses,
    outcome, shown, p_a, score, score_sd, scores, ranking, rationale, aspect, tied_as, sample
FROM judgments SEMI JOIN asked USING (prompt_id)
WHERE revision = 'imported';
