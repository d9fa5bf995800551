-- Whether the responses that a filter has sent to people may stay, by most of those who say so. $1: the aspect that names it.
SELECT response_a, count(*) FILTER (score >= 0.5) > count(*) FILTER (score < 0.5) AS stays
FROM human_answers
WHERE aspect = $1 AND form = 'pointwise' AND outcome = 'a' AND score IS NOT NULL
GROUP BY response_a
HAVING count(*) FILTER (score >= 0.5) <> count(*) FILTER (score < 0.5)
ORDER BY response_a
