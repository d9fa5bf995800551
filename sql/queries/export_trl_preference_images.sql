-- The rows of export_trl_preference (here `labelled`) with contents in parts, and the images of each prompt.
SELECT
    labelled.* REPLACE (
        prompts.messages AS prompt,
        chosen_one.messages AS chosen,
        rejected_one.messages AS rejected
    ),
    list_transform(list_filter(flatten(list_transform(prompts.messages, lambda message: message.content)),
        lambda part: part.type = 'image'), lambda part: part.uri) AS images
FROM labelled
JOIN prompts USING (prompt_id)
JOIN responses AS chosen_one ON chosen_one.response_id = chosen_id
JOIN responses AS rejected_one ON rejected_one.response_id = rejected_id
ORDER BY labelled.prompt_id, least(chosen_id, rejected_id), greatest(chosen_id, rejected_id)
