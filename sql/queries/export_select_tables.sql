-- The raw tables leave nothing out but other splits. $1 split (null: all).
CREATE OR REPLACE TEMP TABLE selection AS
SELECT
    prompt_id,
    CASE WHEN $1::VARCHAR IS NOT NULL AND split IS DISTINCT FROM $1::VARCHAR THEN 'in another split' END AS reason
FROM prompts
