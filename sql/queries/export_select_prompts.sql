-- Every prompt of the lake; nothing is left out but other splits. $1 split (null: all).
CREATE OR REPLACE TEMP TABLE selection AS
SELECT
    prompt_id, []::VARCHAR[] AS responses, NULL::DOUBLE AS confidence,
    CASE WHEN $1::VARCHAR IS NOT NULL AND split IS DISTINCT FROM $1::VARCHAR THEN 'in another split' END AS reason
FROM prompts
