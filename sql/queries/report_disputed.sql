-- Pairs without a verdict of more than half of the people who judged them, most of them first; at most $1.
WITH said AS (
    SELECT
        prompt_id, response_a, response_b, count(DISTINCT annotator_id) AS people,
        count(DISTINCT annotator_id) FILTER (outcome = 'a') AS a,
        count(DISTINCT annotator_id) FILTER (outcome = 'tie') AS ties,
        count(DISTINCT annotator_id) FILTER (outcome = 'b') AS b
    FROM human_statements
    WHERE outcome IN ('a', 'b', 'tie')
    GROUP BY ALL
)
SELECT
    prompt_id, memory.content_text(messages[-1].content) AS prompt,
    people, a, ties, b,
    EXISTS (
        FROM lake.verify_tasks AS tasks
        WHERE purpose = 'adjudicate' AND tasks.prompt_id = said.prompt_id AND responses = [response_a, response_b]
    ) AS asked
FROM said LEFT JOIN prompts USING (prompt_id)
WHERE people > 1 AND 2 * greatest(a, ties, b) <= people
ORDER BY people DESC, prompt_id, response_a, response_b
LIMIT ?
