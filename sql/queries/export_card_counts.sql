-- What the lake holds, for the dataset card. $1 iteration (null: nothing is aggregated).
SELECT stage, what, number FROM (VALUES
    (1, 'ingest', 'prompts', (SELECT count(*) FROM prompts)),
    (2, 'ingest', 'responses', (SELECT count(*) FROM responses)),
    (3, 'ingest', 'rows in quarantine', (SELECT count(*) FROM quarantine)),
    (4, 'judge', 'judgments', (SELECT count(*) FROM judgments)),
    (5, 'judge', 'of these failed', (SELECT count(*) FROM judgments WHERE outcome = 'failed')),
    (6, 'judge', 'of these by people', (SELECT count(*) FROM judgments WHERE kind = 'human')),
    (7, 'aggregate', 'pairs', (SELECT count(*) FROM preferences WHERE iteration = $1)),
    (8, 'aggregate', 'of these ties', (SELECT count(*) FROM preferences WHERE iteration = $1 AND outcome = 'tie')),
    (9, 'aggregate', 'of these verified by people', (SELECT count(*) FROM preferences WHERE iteration = $1 AND status = 'verified')),
    (10, 'aggregate', 'overruled arcs', (SELECT count(*) FROM dropped_arcs WHERE iteration = $1))
) AS counts (place, stage, what, number)
ORDER BY place
