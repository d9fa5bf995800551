-- Rows of each table that a user thinks in; failed judgments are counted beside.
SELECT 'prompts' AS "table", count(*) AS "rows" FROM prompts
UNION ALL SELECT 'responses', count(*) FROM responses
UNION ALL SELECT 'judgments', count(*) FROM judgments
UNION ALL SELECT 'judgments that failed', count(*) FROM judgments WHERE outcome = 'failed'
UNION ALL SELECT 'preferences', count(*) FROM final_preferences
UNION ALL SELECT 'rankings', count(*) FROM final_rankings
UNION ALL SELECT 'dropped arcs', count(*) FROM final_dropped_arcs
UNION ALL SELECT 'annotators', count(*) FROM final_annotators
UNION ALL SELECT 'evaluations', count(*) FROM evaluations
UNION ALL SELECT 'quarantine', count(*) FROM quarantine
