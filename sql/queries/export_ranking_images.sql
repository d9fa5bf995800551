-- The rows of export_ranking (here `labelled`) with the prompt in parts, and its images, on its first row.
SELECT
    labelled.* REPLACE (if(labelled.prompt IS NULL, NULL, prompts.messages) AS prompt),
    if(labelled.prompt IS NULL, NULL,
        list_transform(list_filter(flatten(list_transform(prompts.messages, lambda message: message.content)),
            lambda part: part.type = 'image'), lambda part: part.uri)) AS images
FROM labelled
JOIN prompts USING (prompt_id)
ORDER BY labelled.prompt_id, response_id
