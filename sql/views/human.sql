-- What people say now: their judgments without those that a later one supersedes. `details`: what the answer to a
-- question of the queue keeps beside its columns; `task`: that question. Null where there is none, as in imports.
CREATE OR REPLACE TEMP VIEW human_answers AS
SELECT *, CASE WHEN json_valid(raw) THEN CAST(raw AS JSON) END AS details, details->>'task' AS task
FROM lake.judgments
WHERE kind = 'human'
    AND judgment_id NOT IN (SELECT supersedes FROM lake.judgments WHERE supersedes IS NOT NULL);

-- Of these, what they say of responses as a whole.
CREATE OR REPLACE TEMP VIEW human_judgments AS FROM human_answers WHERE aspect IS NULL;

-- What that says about pairs, whatever its form.
CREATE OR REPLACE TEMP VIEW human_statements AS FROM memory.pair_statements('human_judgments');

-- Which questions people have answered, wherever they said it, if only to skip them. Whoever ranks or rates responses has
-- answered the questions about the pairs that this decides.
CREATE OR REPLACE TEMP VIEW answered_questions AS
SELECT DISTINCT annotator_id, prompt_id, 'pairwise' AS asked_as, NULL::VARCHAR AS aspect, [response_a, response_b] AS responses
FROM human_statements
UNION ALL
SELECT DISTINCT
    annotator_id, prompt_id, coalesce(asked_as, if(form = 'listwise', 'ranking', form)), aspect,
    CASE form WHEN 'pairwise' THEN [response_a, response_b] WHEN 'pointwise' THEN [response_a]
        ELSE list_sort(coalesce(listed, ranking)) END
FROM human_answers
WHERE form <> 'pairwise' OR aspect IS NOT NULL;

-- The queue as such questions.
CREATE OR REPLACE TEMP VIEW queued_questions AS
SELECT
    * REPLACE (coalesce(asked_as, if(form = 'listwise', 'ranking', form)) AS asked_as),
    list_sort(responses) AS sorted_responses
FROM lake.verify_tasks;
