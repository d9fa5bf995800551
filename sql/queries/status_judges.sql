-- What each judge has done in its newest revision. `open`: what it had left when it was last asked everything.
-- Of a question that failed more than once each attempt counts.
WITH newest AS (
    SELECT
        part AS judge, max_by(json_extract_string(details, '$.revision'), (snapshot_in, finished_at)) AS revision,
        max_by((details->>'$.open')::BIGINT, (snapshot_in, finished_at)) FILTER (status = 'done') AS "open"
    FROM runs
    WHERE stage = 'judge'
    GROUP BY part
),
spent AS (
    SELECT
        part AS judge, sum(tokens_in)::BIGINT AS tokens_in, sum(tokens_out)::BIGINT AS tokens_out, sum(cost) AS cost
    FROM runs
    WHERE stage = 'judge'
    GROUP BY part
),
said AS (
    SELECT
        annotator_id AS judge, revision,
        count(*) FILTER (outcome NOT IN ('failed', 'abstain')) AS answered,
        count(*) FILTER (outcome = 'abstain') AS abstained,
        count(*) FILTER (outcome = 'failed') AS failed
    FROM judgments
    WHERE revision <> 'imported' AND kind <> 'human' AND aspect IS NULL
    GROUP BY ALL
)
SELECT
    judge, coalesce(answered, 0) AS answered, coalesce(abstained, 0) AS abstained, coalesce(failed, 0) AS failed,
    "open", tokens_in, tokens_out, cost
FROM spent
LEFT JOIN newest USING (judge)
LEFT JOIN said USING (judge, revision)
ORDER BY judge
