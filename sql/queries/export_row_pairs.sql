-- The rows of export_trl_preference (here `labelled`) with each response as one object, its score and rank included.
SELECT
    labelled.prompt_id, labelled.prompt, prompts.source, prompts.split, prompts.reference,
    {
        'response_id': chosen_id, 'key': a.key, 'model': chosen_model, 'text': chosen[1].content,
        'score': ranked_a.score, 'rank': ranked_a.rank
    } AS chosen,
    {
        'response_id': rejected_id, 'key': b.key, 'model': rejected_model, 'text': rejected[1].content,
        'score': ranked_b.score, 'rank': ranked_b.rank
    } AS rejected,
    confidence, strength, n_judgments, labelled.iteration
FROM labelled
JOIN prompts USING (prompt_id)
JOIN responses AS a ON a.response_id = chosen_id
JOIN responses AS b ON b.response_id = rejected_id
LEFT JOIN rankings AS ranked_a ON ranked_a.response_id = chosen_id AND ranked_a.iteration = labelled.iteration
LEFT JOIN rankings AS ranked_b ON ranked_b.response_id = rejected_id AND ranked_b.iteration = labelled.iteration
ORDER BY labelled.prompt_id, least(chosen_id, rejected_id), greatest(chosen_id, rejected_id)
