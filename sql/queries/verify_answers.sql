-- Answers of people to tasks of the queue that no later one took the place of, as the temporary view current_answers.
CREATE OR REPLACE TEMP VIEW current_answers AS
WITH answers AS (
    SELECT judgments.*, CASE WHEN json_valid(raw) THEN json_extract_string(raw, '$.task') END AS task
    FROM judgments
    WHERE kind = 'human'
)
SELECT * FROM answers
WHERE task IS NOT NULL
  AND judgment_id NOT IN (SELECT supersedes FROM judgments WHERE kind = 'human' AND supersedes IS NOT NULL)
