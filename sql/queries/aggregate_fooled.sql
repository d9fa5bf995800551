-- Judges whose false-positive rate on the guard set is above $1 with 95 % confidence.
SELECT subject, value, low
FROM evaluations
WHERE benchmark = 'guard' AND metric = 'false-positive-rate' AND subset = 'all' AND low > $1
