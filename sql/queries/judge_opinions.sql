-- What the annotators of `hearing` (annotator_id, revision) have said about the pairs of the prompts in `wanted`.
SELECT prompt_id, judgment_id, annotator_id, response_a, response_b, shown, outcome, p_a, rationale
FROM lake.judgments SEMI JOIN wanted USING (prompt_id) SEMI JOIN hearing USING (annotator_id, revision)
WHERE form = 'pairwise' AND outcome IN ('a', 'b', 'tie') AND kind NOT IN ('human', 'meta')
ORDER BY prompt_id, response_a, response_b, annotator_id, shown, sample, judgment_id
