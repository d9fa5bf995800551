-- What a target of `curate forget` removes, as temporary tables. Bound: target_parts (part), target_names (source: data
-- sets by whose name rows from before `part` are known), target_prompts (prompt_id), target_people (annotator_id),
-- target_quarantine (quarantine_id). A row that another input brings too stays, and goes to that input (`taken_over`).
CREATE OR REPLACE TEMP TABLE of_prompts AS
SELECT prompt_id FROM prompts
WHERE part IN (FROM target_parts) OR (part IS NULL AND source IN (FROM target_names));

CREATE OR REPLACE TEMP TABLE of_responses AS
SELECT response_id FROM responses
WHERE
    part IN (FROM target_parts)
    OR (part IS NULL AND prompt_id IN (SELECT prompt_id FROM prompts WHERE source IN (FROM target_names)));

CREATE OR REPLACE TEMP TABLE of_judgments AS
SELECT judgment_id FROM judgments
WHERE
    part IN (FROM target_parts)
    OR (part IS NULL AND revision = 'imported' AND run_id IN (
        SELECT run_id FROM runs WHERE stage = 'ingest' GROUP BY run_id HAVING bool_and(part IN (FROM target_parts))
    ));

CREATE OR REPLACE TEMP TABLE taken_over AS
SELECT id, arg_min({'part': part, 'source': source, 'split': split, 'meta': meta}, rowid) AS heir
FROM repeats
WHERE
    part NOT IN (FROM target_parts)
    AND id IN (FROM of_prompts UNION ALL FROM of_responses UNION ALL FROM of_judgments)
GROUP BY id;

CREATE OR REPLACE TEMP TABLE forgotten_prompts AS
SELECT prompt_id FROM of_prompts WHERE prompt_id NOT IN (SELECT id FROM taken_over)
UNION
FROM target_prompts;

CREATE OR REPLACE TEMP TABLE forgotten_responses AS
SELECT response_id, prompt_id FROM responses
WHERE
    prompt_id IN (FROM forgotten_prompts)
    OR (response_id IN (FROM of_responses) AND response_id NOT IN (SELECT id FROM taken_over));

CREATE OR REPLACE TEMP TABLE forgotten_judgments AS
SELECT judgment_id, prompt_id, kind FROM judgments
WHERE
    prompt_id IN (FROM forgotten_prompts)
    OR (judgment_id IN (FROM of_judgments) AND judgment_id NOT IN (SELECT id FROM taken_over))
    OR (kind IN ('human', 'imported') AND annotator_id IN (FROM target_people))
    OR response_a IN (SELECT response_id FROM forgotten_responses)
    OR response_b IN (SELECT response_id FROM forgotten_responses)
    OR judgment_id IN (
        SELECT judgment_id FROM (
            SELECT judgment_id, unnest(list_concat(coalesce(listed, []), coalesce(ranking, []))) AS response_id
            FROM judgments
            WHERE form = 'listwise'
        )
        SEMI JOIN forgotten_responses USING (response_id)
    );

CREATE OR REPLACE TEMP TABLE forgotten_quarantine AS
SELECT quarantine_id FROM quarantine
WHERE source IN (FROM target_parts) OR quarantine_id IN (FROM target_quarantine);

CREATE OR REPLACE TEMP TABLE forgotten_tasks AS
SELECT task_id FROM verify_tasks
WHERE
    prompt_id IN (FROM forgotten_prompts)
    OR task_id IN (
        SELECT task_id FROM (SELECT task_id, unnest(responses) AS response_id FROM verify_tasks)
        SEMI JOIN forgotten_responses USING (response_id)
    )
;

-- Inputs that lose judgments since the responses are forgotten: they are to be read again.
CREATE OR REPLACE TEMP TABLE bereft_parts AS
SELECT DISTINCT part FROM judgments SEMI JOIN forgotten_judgments USING (judgment_id)
WHERE part IS NOT NULL AND judgment_id NOT IN (FROM of_judgments)
