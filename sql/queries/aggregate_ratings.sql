-- The mean rating that each of the annotators $1 gave each response. Of several with one name it is the panel's judge.
SELECT response_a AS response_id, annotator_id, avg(score) AS score
FROM current_judgments
ANTI JOIN renamed USING (annotator_id, kind)
WHERE form = 'pointwise' AND score IS NOT NULL AND outcome NOT IN ('abstain', 'failed') AND list_contains($1, annotator_id)
GROUP BY ALL
ORDER BY ALL
