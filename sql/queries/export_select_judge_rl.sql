-- Every question that a language model of the panel was asked about a pair, in each order once, with the reason why it is
-- left out; null: it is exported. What the judge answered does not matter: the label is the right answer.
-- The table transcribed (annotator_id, revision) says whose prompts can be made again.
-- $1 iteration, $2 split (null: all), $3 routed, $4 min_confidence.
CREATE OR REPLACE TEMP TABLE selection AS
WITH asked AS (
    SELECT min(judgment_id) AS judgment_id, prompt_id, annotator_id, revision, response_a, response_b, shown
    FROM current_judgments
    WHERE form = 'pairwise' AND kind = 'llm' AND shown IS NOT NULL
    GROUP BY prompt_id, annotator_id, revision, response_a, response_b, shown
),
pictured AS (
    SELECT prompt_id, true AS shown_media FROM prompts WHERE memory.shows_media(messages)
    UNION
    SELECT prompt_id, true FROM responses WHERE memory.shows_media(messages)
)
SELECT
    judgment_id, asked.prompt_id, [asked.response_a, asked.response_b] AS responses, confidence,
    CASE
        WHEN transcribed.revision IS NULL THEN 'by a judge whose prompt cannot be made again'
        WHEN $2::VARCHAR IS NOT NULL AND prompts.split IS DISTINCT FROM $2::VARCHAR THEN 'in another split'
        WHEN shown_media THEN 'with images or videos, for which these rows have no place'
        WHEN final.outcome IS NULL THEN 'the pair has no label'
        WHEN final.outcome = 'tie' THEN 'the label is a tie'
        WHEN status = 'discarded' THEN 'the label is discarded'
        WHEN status = 'routed' AND NOT $3 THEN 'the label waits for people'
        WHEN status <> 'verified' AND confidence < $4 THEN 'the label is below min_confidence'
    END AS reason
FROM asked
LEFT JOIN transcribed USING (annotator_id, revision)
LEFT JOIN prompts USING (prompt_id)
LEFT JOIN pictured USING (prompt_id)
LEFT JOIN (FROM preferences WHERE iteration = $1) AS final USING (prompt_id, response_a, response_b)
