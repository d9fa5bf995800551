-- Questions without an answer, most important first. What people said of a pair answers the question about its label,
-- wherever they said it; a question about people (gold, repeat, adjudicate) only the answer that names it.
WITH named AS (
    SELECT task AS task_id FROM human_answers WHERE task IS NOT NULL
), answered AS (
    SELECT DISTINCT prompt_id, asked_as, coalesce(aspect, '') AS about, responses, 'label' AS purpose FROM answered_questions
)
SELECT verify_tasks.*
FROM lake.verify_tasks AS verify_tasks
SEMI JOIN (
    SELECT task_id
    FROM (SELECT * EXCLUDE (responses), coalesce(aspect, '') AS about, sorted_responses AS responses FROM queued_questions)
    ANTI JOIN answered USING (prompt_id, asked_as, about, responses, purpose)
) USING (task_id)
ANTI JOIN named USING (task_id)
ORDER BY priority DESC, task_id
