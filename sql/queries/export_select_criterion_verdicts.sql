-- Responses of which criteria have been judged, with the reason why one is left out; null: it is exported. $1 split (null:
-- all).
CREATE OR REPLACE TEMP TABLE selection AS
SELECT
    response.prompt_id, [response_id] AS responses, NULL::DOUBLE AS confidence,
    CASE
        WHEN $1::VARCHAR IS NOT NULL AND split IS DISTINCT FROM $1::VARCHAR THEN 'in another split'
        WHEN verdicts = 0 THEN 'failed or abstained'
    END AS reason
FROM (
    SELECT response_id, count(*) FILTER (outcome IN ('satisfied', 'violated')) AS verdicts
    FROM criterion_verdicts
    GROUP BY response_id
) AS judged
JOIN responses AS response USING (response_id)
JOIN prompts USING (prompt_id)
