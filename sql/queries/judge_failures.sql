-- Why judgments failed, by judge: the first line of what is kept of them, up to a colon (what follows is the case's own).
SELECT annotator_id AS judge, coalesce(nullif(trim(regexp_extract(raw, '^[^:\n]*')), ''), 'failed') AS reason, count(*) AS failed
FROM judgments
WHERE outcome = 'failed'
GROUP BY ALL
ORDER BY failed DESC, judge, reason
