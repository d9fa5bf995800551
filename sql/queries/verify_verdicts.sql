-- People's verdicts as they stand, oldest version of a repeated question first; skipped ones have no `verdict`. What is
-- judged is a pair, and 0, 1, 2 say that b, neither or a is better; or where `response_b` is empty a response, which fails
-- (0) or passes (2), or fails or meets the criterion that `about` names. A ranking gives a verdict on each of its pairs.
-- Times are those of the form, so that they are compared with others of it alone; of rankings and single criteria unknown.
WITH answers AS (
    SELECT
        annotator_id, prompt_id, form, asked_as, response_a, response_b, judgment_id, outcome, score, nullif(seconds, 0) AS seconds
    FROM human_judgments
), verdicts AS (
    SELECT
        annotator_id, prompt_id, response_a, response_b, '' AS about, 'pairwise' AS asked_as, judgment_id,
        CASE outcome WHEN 'b' THEN 0 WHEN 'tie' THEN 1 WHEN 'a' THEN 2 END AS verdict, seconds,
        [response_a, response_b] AS responses
    FROM answers WHERE form = 'pairwise'
    UNION ALL
    SELECT
        annotator_id, human_statements.prompt_id, response_a, response_b, '', 'ranking', statement_id,
        CASE outcome WHEN 'b' THEN 0 WHEN 'tie' THEN 1 WHEN 'a' THEN 2 END, NULL, NULL
    FROM human_statements WHERE form = 'listwise'
    UNION ALL
    SELECT
        annotator_id, prompt_id, coalesce(response_a, ''), '', '', asked_as, judgment_id,
        CASE WHEN outcome <> 'abstain' THEN if(score >= 0.5, 2, 0) END, seconds, [response_a]
    FROM answers
    WHERE asked_as IN ('pass-fail', 'critique') OR (outcome = 'abstain' AND asked_as IN ('rubric', 'ranking'))
    UNION ALL
    SELECT
        annotator_id, prompt_id, response_id, '', criterion_id, 'rubric',
        coalesce(CASE WHEN json_valid(raw) THEN json_extract_string(raw, '$.judgment') END, verdict_id),
        if(outcome = 'satisfied', 2, 0), NULL, [response_id]
    FROM lake.criterion_verdicts WHERE kind = 'human' AND outcome IN ('satisfied', 'violated')
), gold AS (
    SELECT DISTINCT prompt_id, asked_as, sorted_responses AS responses
    FROM queued_questions WHERE purpose = 'gold' AND aspect IS NULL
)
SELECT
    annotator_id, prompt_id, response_a, response_b, about, verdicts.asked_as, judgment_id, verdict, seconds,
    coalesce(
        CASE WHEN json_valid(prompts.meta) THEN json_extract_string(prompts.meta, '$.category') END, prompts.source
    ) AS category,
    EXISTS (
        FROM gold
        WHERE gold.prompt_id = verdicts.prompt_id AND gold.asked_as = verdicts.asked_as
            AND (gold.responses = verdicts.responses
                OR verdicts.responses IS NULL AND list_has_all(gold.responses, [response_a, response_b]))
    ) AS gold
FROM verdicts JOIN lake.prompts AS prompts USING (prompt_id)
ORDER BY annotator_id, prompt_id, response_a, response_b, about, judgment_id
