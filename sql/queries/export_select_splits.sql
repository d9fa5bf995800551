-- The selection with the split of each row's prompt, its number, and the group of prompts that it resembles.
-- The relation `prompt_places` has them by prompt. $1 the reason of prompts without a split.
CREATE OR REPLACE TEMP TABLE selection AS
SELECT
    selection.* EXCLUDE (reason), part, number, near,
    coalesce(reason, CASE WHEN part IS NULL THEN $1::VARCHAR END) AS reason
FROM selection
LEFT JOIN prompt_places USING (prompt_id)
