-- What people have answered in one form ($1) about one aspect ($2, or null), question by question: how many people, how many
-- of them with a verdict, and how many gave the commonest one. Of a ranking, the best response is the verdict.
WITH said AS (
    SELECT
        prompt_id, annotator_id,
        CASE form WHEN 'pairwise' THEN [response_a, response_b] WHEN 'pointwise' THEN [response_a]
            ELSE list_sort(coalesce(listed, ranking)) END AS responses,
        CASE WHEN outcome NOT IN ('abstain', 'failed') THEN
            CASE form WHEN 'pairwise' THEN outcome WHEN 'pointwise' THEN CAST(score AS VARCHAR) ELSE ranking[1] END
        END AS verdict
    FROM human_answers
    WHERE coalesce(asked_as, if(form = 'listwise', 'ranking', form)) = $1 AND aspect IS NOT DISTINCT FROM $2::VARCHAR
), counted AS (
    SELECT prompt_id, responses, verdict, count(DISTINCT annotator_id) AS people FROM said GROUP BY ALL
)
SELECT
    prompt_id, responses, sum(people)::BIGINT AS people,
    coalesce(sum(people) FILTER (verdict IS NOT NULL), 0)::BIGINT AS verdicts,
    coalesce(max(people) FILTER (verdict IS NOT NULL), 0)::BIGINT AS most
FROM counted
GROUP BY ALL
