-- Every rating (or list) by a language model of the panel, with the reason why it is left out; null: it is exported.
-- What it says of pairs is held against their labels: it may contradict none, and has to agree with one at least.
-- The table transcribed (annotator_id, revision) says whose prompts can be made again.
-- $1 iteration, $2 split (null: all), $3 routed, $4 min_confidence, $5 form (pointwise or listwise).
CREATE OR REPLACE TEMP TABLE selection AS
WITH said AS (
    SELECT judgment_id, prompt_id, annotator_id, revision, sample, outcome, raw, coalesce(listed, [response_a]) AS responses
    FROM current_judgments
    WHERE form = $5 AND kind = 'llm' AND aspect IS NULL
),
labels AS (
    FROM preferences
    WHERE
        iteration = $1 AND outcome <> 'tie' AND status <> 'discarded' AND (status <> 'routed' OR $3)
        AND (status = 'verified' OR confidence >= $4)
),
held AS (
    SELECT
        judgment_id, min(labels.confidence) AS confidence,
        bool_or(statement.outcome = labels.outcome) AS agrees,
        bool_or(statement.outcome NOT IN ('tie', labels.outcome)) AS contradicts
    FROM said
    JOIN memory.pair_statements('current_judgments') AS statement USING (prompt_id, annotator_id, revision, sample)
    JOIN labels USING (prompt_id, response_a, response_b)
    WHERE
        statement.form = $5
        AND if($5 = 'listwise',
            starts_with(statement_id, judgment_id),
            response_a = responses[1] OR response_b = responses[1])
    GROUP BY judgment_id
),
pictured AS (
    SELECT prompt_id, true AS shown_media FROM prompts WHERE memory.shows_media(messages)
    UNION
    SELECT prompt_id, true FROM responses WHERE memory.shows_media(messages)
)
SELECT
    judgment_id, said.prompt_id, responses, confidence,
    CASE
        WHEN transcribed.revision IS NULL THEN 'by a judge whose prompt cannot be made again'
        WHEN $2::VARCHAR IS NOT NULL AND prompts.split IS DISTINCT FROM $2::VARCHAR THEN 'in another split'
        WHEN shown_media THEN 'with images or videos, for which these rows have no place'
        WHEN outcome IN ('failed', 'abstain') THEN 'failed or abstained'
        WHEN raw IS NULL THEN 'without what the judge wrote'
        WHEN contradicts THEN 'against a label'
        WHEN agrees IS NOT TRUE THEN 'no label bears it out'
    END AS reason
FROM said
LEFT JOIN held USING (judgment_id)
LEFT JOIN transcribed USING (annotator_id, revision)
LEFT JOIN prompts USING (prompt_id)
LEFT JOIN pictured USING (prompt_id)
