-- What labels of people were used for in the test of a label set, in the order in which they were. $1 iteration.
SELECT response_a, response_b, use, agrees, revision
FROM label_uses
WHERE iteration = $1
ORDER BY revision, use, place
