-- What some annotators ($1) say now, by the caller's keys (the lake's ids where there are none), a before b by key: what
-- is said of a and b turns round with them. The relation `current_judgments` holds the judgments that count.
WITH named AS (
    SELECT response_id, coalesce("key", response_id) AS name
    FROM responses
),
keyed AS (
    SELECT
        judgment.*, coalesce(asked."key", asked.prompt_id) AS prompt, one.name AS first_name, other.name AS second_name,
        coalesce(one.name > other.name, false) AS turned
    FROM current_judgments AS judgment
    JOIN prompts AS asked USING (prompt_id)
    LEFT JOIN named AS one ON one.response_id = judgment.response_a
    LEFT JOIN named AS other ON other.response_id = judgment.response_b
    WHERE list_contains($1, annotator_id)
),
listed AS (
    SELECT judgment_id, list(name ORDER BY place) AS listed
    FROM (
        SELECT judgment_id, unnest(listed) AS response_id, generate_subscripts(listed, 1) AS place
        FROM keyed WHERE form = 'listwise'
    )
    JOIN named USING (response_id)
    GROUP BY judgment_id
),
ranked AS (
    SELECT judgment_id, list(name ORDER BY place) AS ranking
    FROM (
        SELECT judgment_id, unnest(ranking) AS response_id, generate_subscripts(ranking, 1) AS place
        FROM keyed WHERE form = 'listwise'
    )
    JOIN named USING (response_id)
    GROUP BY judgment_id
)
SELECT
    prompt, annotator_id AS annotator, kind, form,
    CASE WHEN turned THEN second_name ELSE first_name END AS a, CASE WHEN turned THEN first_name ELSE second_name END AS b,
    CASE WHEN turned THEN if(shown = 'ab', 'ba', if(shown = 'ba', 'ab', NULL)) ELSE shown END AS shown,
    CASE
        WHEN form <> 'pairwise' AND outcome NOT IN ('abstain', 'failed') THEN NULL -- a rating has no winner
        WHEN turned AND outcome = 'a' THEN 'b'
        WHEN turned AND outcome = 'b' THEN 'a'
        ELSE outcome
    END AS winner,
    CASE WHEN turned THEN round(1 - p_a, 12) ELSE p_a END AS p_a,
    score, score_sd, listed.listed, scores, ranked.ranking, rationale, raw, sample, tokens_in, tokens_out, seconds
FROM keyed
LEFT JOIN listed USING (judgment_id)
LEFT JOIN ranked USING (judgment_id)
ORDER BY annotator, prompt, a, b, shown, sample, judgment_id
