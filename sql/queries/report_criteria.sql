-- By criterion: in how many decided pairs of the final labels the better response satisfies it more, or less, as its
-- verifiers say (people apart), with the pair in which the difference is greatest; what failed; where people judged too,
-- on how many responses they say the same.
WITH verdicts AS (
    SELECT
        criterion_id, response_id, kind = 'human' AS is_human,
        avg(CASE
            WHEN outcome = 'satisfied' THEN coalesce(p_satisfied, 1) WHEN outcome = 'violated' THEN coalesce(p_satisfied, 0)
        END) AS satisfied
    FROM criterion_verdicts
    GROUP BY ALL
),
machine AS (SELECT criterion_id, response_id, satisfied FROM verdicts WHERE NOT is_human AND satisfied IS NOT NULL),
decided AS (
    SELECT if(outcome = 'a', response_a, response_b) AS better, if(outcome = 'a', response_b, response_a) AS worse
    FROM final_preferences
    WHERE outcome <> 'tie' AND status NOT IN ('discarded', 'routed')
),
compared AS (
    SELECT b.criterion_id, better, worse, b.satisfied - w.satisfied AS lead
    FROM decided
    JOIN machine AS b ON b.response_id = better
    JOIN machine AS w ON w.response_id = worse AND w.criterion_id = b.criterion_id
),
pairs AS (
    SELECT
        criterion_id, count(*) FILTER (lead > 0) AS won, count(*) FILTER (lead < 0) AS lost,
        arg_max([better, worse], lead) FILTER (lead > 0) AS won_example,
        arg_min([better, worse], lead) FILTER (lead < 0) AS lost_example
    FROM compared
    GROUP BY criterion_id
),
people AS (
    SELECT
        h.criterion_id, count(*) AS judged_twice, count(*) FILTER ((h.satisfied > 0.5) = (m.satisfied > 0.5)) AS agree
    FROM verdicts AS h
    JOIN machine AS m USING (criterion_id, response_id)
    WHERE h.is_human AND h.satisfied IS NOT NULL
    GROUP BY h.criterion_id
),
failures AS (
    SELECT criterion_id, count(*) FILTER (no_answer) AS failed
    FROM (
        SELECT criterion_id, bool_and(outcome = 'failed') AS no_answer
        FROM criterion_verdicts
        GROUP BY criterion_id, response_id, annotator_id, revision, sample
    )
    GROUP BY criterion_id
)
SELECT
    criterion_id, coalesce(won, 0) AS won, coalesce(lost, 0) AS lost, won_example, lost_example,
    coalesce(judged_twice, 0) AS judged_twice, coalesce(agree, 0) AS agree, failed
FROM failures
LEFT JOIN pairs USING (criterion_id)
LEFT JOIN people USING (criterion_id)
ORDER BY criterion_id
