-- The selected responses with the newest verdict of each annotator on each criterion, one row a response.
WITH sentences AS (
    SELECT criterion.criterion_id, any_value(criterion."text") AS "text", any_value(criterion.kind) AS kind
    FROM (SELECT unnest(criteria) AS criterion FROM rubrics)
    GROUP BY 1
),
newest AS (
    SELECT *
    FROM criterion_verdicts
    SEMI JOIN (SELECT unnest(responses) AS response_id FROM selection WHERE reason IS NULL) USING (response_id)
    WHERE outcome IN ('satisfied', 'violated')
    QUALIFY row_number() OVER (PARTITION BY annotator_id, criterion_id, response_id, sample ORDER BY rowid DESC) = 1
),
judged AS (
    SELECT response_id, list({
        'criterion_id': criterion_id, 'criterion': criterion, 'text': sentences."text", 'kind': sentences.kind,
        'annotator_id': annotator_id, 'outcome': outcome, 'p_satisfied': p_satisfied, 'value': value,
        'rationale': rationale
    } ORDER BY annotator_id, criterion, criterion_id, sample) AS verdicts
    FROM newest
    LEFT JOIN sentences USING (criterion_id)
    GROUP BY response_id
)
SELECT
    prompts.prompt_id, prompts.messages AS prompt, tools, response_id, model, responses.messages,
    memory.response_text(responses.messages) AS response, verdicts
FROM judged
JOIN responses USING (response_id)
JOIN prompts USING (prompt_id)
ORDER BY memory.batch_of(prompts.prompt_id), prompts.prompt_id, response_id
