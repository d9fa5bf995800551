-- What the present panel said of one prompt, people first. $1 prompt.
SELECT
    annotator_id, kind, form, response_a, response_b, outcome, shown, p_a, score, sample, rationale,
    judgment_id IN (SELECT supersedes FROM judgments WHERE prompt_id = $1 AND supersedes IS NOT NULL) AS superseded
FROM current_judgments
WHERE prompt_id = $1
ORDER BY kind <> 'human', annotator_id, form, response_a, response_b, sample, shown
