-- The pairwise questions that one person ($1) may answer now, most important first, with texts; $2 people answer each.
-- A repeat goes to those who know the pair, a gold question or an adjudication to those who do not.
WITH said AS (
    SELECT annotator_id, prompt_id, [response_a, response_b] AS responses, task AS task_id
    FROM human_judgments WHERE form = 'pairwise'
), by_pair AS (
    SELECT prompt_id, responses, count(DISTINCT annotator_id) AS people, bool_or(annotator_id = $1) AS mine
    FROM said GROUP BY ALL
), by_task AS (
    SELECT task_id, count(DISTINCT annotator_id) AS people, bool_or(annotator_id = $1) AS mine
    FROM said WHERE task_id IS NOT NULL GROUP BY task_id
)
SELECT
    tasks.task_id, tasks.prompt_id, tasks.responses, tasks.purpose, prompts.messages, first.messages AS a,
    second.messages AS b
FROM lake.verify_tasks AS tasks
JOIN lake.prompts AS prompts USING (prompt_id)
JOIN lake.responses AS first ON first.response_id = tasks.responses[1]
JOIN lake.responses AS second ON second.response_id = tasks.responses[2]
LEFT JOIN by_pair USING (prompt_id, responses)
LEFT JOIN by_task ON by_task.task_id = tasks.task_id
WHERE tasks.form = 'pairwise' AND NOT coalesce(by_task.mine, false)
    AND CASE tasks.purpose
        WHEN 'label' THEN NOT coalesce(by_pair.mine, false) AND coalesce(by_pair.people, 0) < $2
        WHEN 'repeat' THEN coalesce(by_pair.mine, false)
        WHEN 'gold' THEN NOT coalesce(by_pair.mine, false)
        ELSE NOT coalesce(by_pair.mine, false) AND coalesce(by_task.people, 0) = 0
    END
ORDER BY tasks.priority DESC, tasks.task_id
