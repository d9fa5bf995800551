-- What the judge $1 has said of criteria of the responses to the prompts in `wanted`, failures left out.
SELECT prompt_id, verdict_id, criterion_id, criterion, response_id, revision, outcome, p_satisfied, value, rationale
FROM lake.criterion_verdicts SEMI JOIN wanted USING (prompt_id)
WHERE annotator_id = $1 AND outcome <> 'failed'
