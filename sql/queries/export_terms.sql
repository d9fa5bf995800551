-- Who brings each prompt, response and verdict, and on what terms, as temporary tables. A row that several inputs bring
-- has several lines in `item_terms`. Bound: model_terms (model, license).
-- A row from before inputs were kept (`part` null) has the terms of the source of its prompt's name.
CREATE OR REPLACE TEMP TABLE item_terms AS
WITH named AS (SELECT source AS name, any_value(license) AS license, any_value(origin) AS origin FROM sources GROUP BY source),
brought AS (
    SELECT 'prompt' AS kind, prompt_id AS id, prompt_id, part, source FROM prompts
    UNION ALL
    SELECT 'response', response_id, prompt_id, responses.part, prompts.source
    FROM responses JOIN prompts USING (prompt_id)
    UNION ALL
    SELECT 'judgment', judgment_id, prompt_id, judgments.part, annotator_id
    FROM judgments
    WHERE revision = 'imported'
    UNION ALL
    SELECT 'prompt', id, prompt_id, repeats.part, repeats.source FROM repeats JOIN prompts ON id = prompt_id
    UNION ALL
    SELECT 'response', id, prompt_id, repeats.part, NULL FROM repeats JOIN responses ON id = response_id
    UNION ALL
    SELECT 'judgment', id, prompt_id, repeats.part, NULL FROM repeats JOIN judgments ON id = judgment_id
)
SELECT
    kind, id, prompt_id, coalesce(sources.source, brought.source) AS source,
    coalesce(sources.license, named.license) AS license, coalesce(sources.origin, named.origin) AS origin
FROM brought
LEFT JOIN sources ON sources.part = brought.part
LEFT JOIN named ON brought.part IS NULL AND named.name = brought.source
UNION ALL
SELECT 'model', response_id, prompt_id, 'model ' || responses.model, model_terms.license, NULL
FROM responses
LEFT JOIN model_terms ON model_terms.model = responses.model
WHERE responses.model IS NOT NULL AND EXISTS (FROM model_terms)
