-- Questions without an answer, most important first. What people said of a pair answers the question about its label,
-- wherever they said it; a question about people (gold, repeat, adjudicate) only the answer that names it.
WITH named AS (
    SELECT task AS task_id FROM human_judgments WHERE task IS NOT NULL
), judged AS (
    SELECT DISTINCT prompt_id, [response_a, response_b] AS responses, 'label' AS purpose
    FROM human_judgments WHERE form = 'pairwise'
)
SELECT * FROM lake.verify_tasks
ANTI JOIN named USING (task_id)
ANTI JOIN judged USING (prompt_id, responses, purpose)
ORDER BY priority DESC, task_id
