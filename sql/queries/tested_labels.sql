-- The labels of the revision under test. $1 iteration, $2 revision.
SELECT response_a, response_b, direction, p_a, stratum
FROM tested_labels
WHERE iteration = $1 AND revision = $2
