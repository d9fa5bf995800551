-- What each person did with the tasks of the queue, the busiest first.
SELECT
    annotator_id,
    count(*) FILTER (outcome <> 'abstain') AS answered,
    count(*) FILTER (outcome = 'abstain' AND (details->>'deleted') IS NULL) AS skipped,
    count(*) FILTER ((details->>'deleted') IS NOT NULL) AS taken_back,
    coalesce(median(seconds) FILTER (outcome <> 'abstain'), 0) AS seconds
FROM human_answers
WHERE task IS NOT NULL
GROUP BY annotator_id
ORDER BY answered DESC, annotator_id
