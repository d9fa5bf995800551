-- What the votes say about each annotator. `p` is its probability that a is better.
-- ability: log-odds (half a vote of smoothing) of agreeing with the sign of all others' mean, where both take a side.
-- position_bias: mean probability it gives to the response shown first, minus ½.
-- length_bias: mean probability it gives to the longer response, minus the same mean of all the others.
-- Rounded, since the order in which a parallel sum adds up is not fixed: what cancels out must be 0, not 1e-17.
-- agreement: share of agreement with people (not itself) where both take a side.
WITH said AS (
    SELECT *, coalesce(p_a, CASE outcome WHEN 'a' THEN 1.0 WHEN 'b' THEN 0.0 WHEN 'tie' THEN 0.5 END) AS p
    FROM pairwise_statements
), lengths AS (
    SELECT response_id, sum(length("text")) AS length
    FROM (SELECT response_id, unnest(content, recursive := true) FROM responses)
    GROUP BY response_id
), pairs AS (  -- one opinion per annotator and pair
    SELECT prompt_id, response_a, response_b, annotator_id, any_value(kind) AS kind, avg(p) AS p
    FROM said WHERE p IS NOT NULL GROUP BY ALL
), totals AS (
    SELECT
        *,
        round(sum(p - 0.5) OVER pair - (p - 0.5), 9) AS others,
        count(*) OVER pair - 1 AS n_others,
        round(
            sum(CASE WHEN kind = 'human' THEN p - 0.5 ELSE 0 END) OVER pair
                - CASE WHEN kind = 'human' THEN p - 0.5 ELSE 0 END, 9
        ) AS people
    FROM pairs
    WINDOW pair AS (PARTITION BY prompt_id, response_a, response_b)
), opinions AS (
    SELECT
        annotator_id,
        ln((count(*) FILTER ((p - 0.5) * others > 0) + 0.5) / (count(*) FILTER ((p - 0.5) * others < 0) + 0.5)) AS ability,
        avg(CASE WHEN (p - 0.5) * people > 0 THEN 1.0 ELSE 0.0 END) FILTER (abs(p - 0.5) > 1e-9 AND people <> 0) AS agreement,
        avg(CASE WHEN length_a.length > length_b.length THEN p - 0.5 ELSE 0.5 - p END)
            FILTER (length_a.length <> length_b.length)
            - avg(CASE WHEN length_a.length > length_b.length THEN others / n_others ELSE -others / n_others END)
            FILTER (length_a.length <> length_b.length AND n_others > 0) AS length_bias
    FROM totals
    LEFT JOIN lengths AS length_a ON length_a.response_id = response_a
    LEFT JOIN lengths AS length_b ON length_b.response_id = response_b
    GROUP BY annotator_id
), behaviour AS (
    SELECT
        annotator_id,
        avg(CASE shown WHEN 'ab' THEN p WHEN 'ba' THEN 1 - p END) - 0.5 AS position_bias,
        count(*) FILTER (outcome = 'tie') / nullif(count(*) FILTER (p IS NOT NULL), 0) AS tie_rate
    FROM said GROUP BY annotator_id
), work AS (  -- by judgment: a list counts once
    SELECT
        annotator_id, any_value(kind) AS kind, count(*) AS n,
        count(*) FILTER (outcome = 'failed') / count(*) AS failure_rate
    FROM (
        SELECT annotator_id, kind, outcome FROM said WHERE form = 'pairwise'
        UNION ALL
        SELECT annotator_id, kind, outcome FROM current_judgments WHERE form <> 'pairwise'
    )
    GROUP BY annotator_id
)
SELECT
    annotator_id, kind, round(ability, 6) AS ability, round(position_bias, 6) AS position_bias,
    round(tie_rate, 6) AS tie_rate, round(length_bias, 6) AS length_bias, round(agreement, 6) AS agreement,
    round(failure_rate, 6) AS failure_rate, n
FROM work LEFT JOIN behaviour USING (annotator_id) LEFT JOIN opinions USING (annotator_id)
ORDER BY annotator_id
