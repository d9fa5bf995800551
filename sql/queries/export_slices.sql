-- The slice of each selected prompt: prompts in the order of the export, about $1 selected rows in each slice.
CREATE OR REPLACE TEMP TABLE slices AS
SELECT
    prompt_id,
    (sum(selected) OVER (ORDER BY memory.batch_of(prompt_id), prompt_id ROWS UNBOUNDED PRECEDING) - selected)::BIGINT
    // $1 AS slice
FROM (SELECT prompt_id, count(*) AS selected FROM selection WHERE reason IS NULL GROUP BY prompt_id)
