-- Reasons that were given about responses to the prompts in `wanted`: of people, and with $1 = 'all' those of judges about
-- pairs too. `spans`: passages that a person has marked.
SELECT
    prompt_id, response_a, response_b, form, shown, outcome, rationale, kind = 'human' AS by_person,
    CASE WHEN kind = 'human' AND json_valid(raw) THEN CAST(raw AS JSON)->'spans' END AS spans
FROM lake.judgments SEMI JOIN wanted USING (prompt_id)
WHERE
    outcome IN ('a', 'b')
    AND (kind = 'human' OR ($1 = 'all' AND form = 'pairwise' AND kind <> 'meta'))
    AND form IN ('pairwise', 'pointwise')
    AND judgment_id NOT IN (SELECT supersedes FROM lake.judgments WHERE supersedes IS NOT NULL)
    AND (trim(coalesce(rationale, '')) <> '' OR (kind = 'human' AND form = 'pointwise'))
ORDER BY prompt_id, response_a, response_b, annotator_id, form, sample, shown, judgment_id
