-- What the last aggregation has learnt of each annotator. A lake that is opened for reading may be from before `trust`.
SELECT * EXCLUDE (annotator_id, iteration, run_id), annotator_id AS annotator
FROM annotators
WHERE iteration = (SELECT assessed FROM final_iteration)
ORDER BY annotator
