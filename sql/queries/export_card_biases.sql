-- What is known about biases of the annotators, as aggregation measured them. $1 iteration.
SELECT annotator_id, kind, position_bias, length_bias, agreement
FROM annotators
WHERE iteration = $1 AND (position_bias IS NOT NULL OR length_bias IS NOT NULL)
ORDER BY annotator_id, kind
