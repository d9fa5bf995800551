-- Every response that people have passed or failed, with the reason why it is left out; null: it is exported. Of a pair that
-- was called both good or both bad, both responses are. $1 split (null: all).
CREATE OR REPLACE TEMP TABLE selection AS
WITH said AS (
    SELECT prompt_id, response_a AS response_id, annotator_id, score >= 0.5 AS passes
    FROM human_judgments
    WHERE form = 'pointwise' AND outcome = 'a' AND score IS NOT NULL
        AND (asked_as IN ('pass-fail', 'critique') OR (asked_as IS NULL AND (details->>'verdict') IN ('pass', 'fail')))
    UNION ALL
    SELECT prompt_id, unnest([response_a, response_b]), annotator_id, tied_as = 'both-good'
    FROM human_judgments
    WHERE form = 'pairwise' AND outcome = 'tie' AND tied_as IS NOT NULL
),
counted AS (
    SELECT
        prompt_id, response_id, count(DISTINCT annotator_id) FILTER (passes) AS passed,
        count(DISTINCT annotator_id) FILTER (NOT passes) AS failed
    FROM said
    GROUP BY ALL
)
SELECT
    counted.prompt_id, response_id, passed, failed, [response_id] AS responses, NULL::DOUBLE AS confidence,
    CASE
        WHEN responses.response_id IS NULL THEN 'a response is missing'
        WHEN $1::VARCHAR IS NOT NULL AND split IS DISTINCT FROM $1::VARCHAR THEN 'in another split'
        WHEN passed = failed THEN 'people differ'
    END AS reason
FROM counted
LEFT JOIN responses USING (response_id)
LEFT JOIN prompts ON prompts.prompt_id = counted.prompt_id
