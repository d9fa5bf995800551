-- Every judgment of a pair by a language model of the panel, with the reason why it is left out; null: it is exported.
-- The table transcribed (annotator_id, revision) says whose prompts can be made again.
-- $1 iteration, $2 split (null: all), $3 routed, $4 min_confidence.
CREATE OR REPLACE TEMP TABLE selection AS
WITH said AS (
    SELECT
        judgment_id, prompt_id, annotator_id, revision, response_a, response_b, outcome, rationale, shown,
        count(DISTINCT shown) OVER same AS orders,
        min(outcome) OVER same = max(outcome) OVER same AS agrees
    FROM current_judgments
    WHERE form = 'pairwise' AND kind = 'llm'
    WINDOW same AS (PARTITION BY prompt_id, annotator_id, revision, response_a, response_b, sample)
),
pictured AS (
    SELECT prompt_id, true AS shown_media FROM prompts WHERE memory.shows_media(messages)
    UNION
    SELECT prompt_id, true FROM responses WHERE memory.shows_media(messages)
)
SELECT
    judgment_id, said.prompt_id, [response_a, response_b] AS responses, confidence,
    CASE
        WHEN transcribed.revision IS NULL THEN 'by a judge whose prompt cannot be made again'
        WHEN $2::VARCHAR IS NOT NULL AND prompts.split IS DISTINCT FROM $2::VARCHAR THEN 'in another split'
        WHEN shown_media THEN 'with images or videos, for which these rows have no place'
        WHEN said.outcome IN ('failed', 'abstain') THEN 'failed or abstained'
        WHEN coalesce(rationale, '') = '' THEN 'without a rationale'
        WHEN orders < 2 THEN 'asked in one order only'
        WHEN NOT agrees THEN 'the two orders disagree'
        WHEN said.outcome = 'tie' THEN 'tie'
        WHEN final.outcome IS NULL THEN 'the pair has no label'
        WHEN final.outcome = 'tie' THEN 'the label is a tie'
        WHEN status = 'discarded' THEN 'the label is discarded'
        WHEN status = 'routed' AND NOT $3 THEN 'the label waits for people'
        WHEN status <> 'verified' AND confidence < $4 THEN 'the label is below min_confidence'
        WHEN said.outcome <> final.outcome THEN 'against the label'
    END AS reason
FROM said
LEFT JOIN transcribed USING (annotator_id, revision)
LEFT JOIN prompts USING (prompt_id)
LEFT JOIN pictured USING (prompt_id)
LEFT JOIN (FROM preferences WHERE iteration = $1) AS final USING (prompt_id, response_a, response_b)
