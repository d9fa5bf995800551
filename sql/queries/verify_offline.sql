-- The questions that one person ($1) may answer now, most important first; $2 people answer each. A repeat goes to those
-- who know the answer, a gold question or an adjudication to those who do not.
WITH by_question AS (
    SELECT
        prompt_id, asked_as, coalesce(aspect, '') AS about, responses AS sorted_responses,
        count(DISTINCT annotator_id) AS people, bool_or(annotator_id = $1) AS mine
    FROM answered_questions GROUP BY ALL
), by_task AS (
    SELECT task AS task_id, count(DISTINCT annotator_id) AS people, bool_or(annotator_id = $1) AS mine
    FROM human_answers WHERE task IS NOT NULL GROUP BY task
), wanted AS (
    SELECT tasks.task_id
    FROM (SELECT *, coalesce(aspect, '') AS about FROM queued_questions) AS tasks
    LEFT JOIN by_question USING (prompt_id, asked_as, about, sorted_responses)
    LEFT JOIN by_task ON by_task.task_id = tasks.task_id
    WHERE NOT coalesce(by_task.mine, false)
        AND CASE tasks.purpose
            WHEN 'label' THEN NOT coalesce(by_question.mine, false) AND coalesce(by_question.people, by_task.people, 0) < $2
            WHEN 'repeat' THEN coalesce(by_question.mine, false)
            WHEN 'gold' THEN NOT coalesce(by_question.mine, false)
            ELSE NOT coalesce(by_question.mine, false) AND coalesce(by_task.people, 0) = 0
        END
)
FROM lake.verify_tasks SEMI JOIN wanted USING (task_id) ORDER BY priority DESC, task_id
