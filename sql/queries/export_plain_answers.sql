-- The responses to the prompts of the selected rows, each as a list of one {role, content}.
SELECT
    prompt_id, response_id, model,
    [{
        'role': 'assistant',
        'content': memory.response_text(messages)
    }] AS answer
FROM responses
SEMI JOIN (FROM selection WHERE reason IS NULL) USING (prompt_id)
