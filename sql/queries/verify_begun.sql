-- Questions that somebody has answered, but fewer people than are wanted ($1).
SELECT count(*) FROM verify_tasks
JOIN (SELECT task, count(DISTINCT annotator_id) AS people FROM human_answers GROUP BY task) ON task = task_id
WHERE purpose = 'label' AND people < $1
