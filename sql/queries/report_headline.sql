-- The figures at the top, each a count of its own. The mean is rounded: a parallel sum has no fixed order.
SELECT
    (SELECT count(*) FROM prompts) AS prompts,
    (SELECT count(*) FROM responses) AS responses,
    (SELECT count(DISTINCT model) FROM responses) AS models,
    (SELECT count(DISTINCT annotator_id) FROM current_judgments) AS annotators,
    (SELECT count(*) FROM current_judgments) AS judgments,
    (SELECT count(*) FROM current_judgments WHERE outcome = 'failed') AS failed,
    (SELECT count(*) FROM current_judgments WHERE kind = 'human') AS by_people,
    (SELECT count(*) FROM final_preferences) AS pairs,
    (SELECT count(*) FROM final_preferences WHERE outcome = 'tie') AS ties,
    (SELECT round(avg(confidence), 9) FROM final_preferences WHERE outcome <> 'tie') AS confidence,
    (SELECT max(iteration) FROM final_preferences) AS iteration
