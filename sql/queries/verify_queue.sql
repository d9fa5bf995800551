-- What people are to be asked, with how many have answered; the most important first.
WITH answered AS (
    SELECT task, count(DISTINCT annotator_id) AS people
    FROM human_answers
    WHERE outcome <> 'abstain'
    GROUP BY task
)
SELECT verify_tasks.*, coalesce(people, 0) AS people
FROM verify_tasks LEFT JOIN answered ON task = task_id
ORDER BY priority DESC, task_id
