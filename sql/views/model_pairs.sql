-- What reward models of all revisions have said about pairs: as they said it, or as their ratings say it, which the view
-- `pairwise_statements` reads in the same way for the newest revisions alone.
CREATE OR REPLACE TEMP VIEW model_pairs AS
SELECT prompt_id, response_a, response_b, annotator_id, revision, run_id, p_a
FROM lake.judgments
WHERE form = 'pairwise' AND kind = 'reward-model' AND p_a IS NOT NULL AND aspect IS NULL
UNION ALL
SELECT
    prompt_id, a.response_a, b.response_a, annotator_id, revision, b.run_id,
    1 / (1 + exp(-1.702 * (a.score - b.score) / sqrt(a.score_sd ** 2 + b.score_sd ** 2)))
FROM lake.judgments AS a
JOIN lake.judgments AS b USING (prompt_id, annotator_id, revision, kind, form, sample)
WHERE form = 'pointwise' AND kind = 'reward-model' AND a.response_a < b.response_a
    AND a.outcome <> 'failed' AND b.outcome <> 'failed' AND a.score_sd > 0 AND b.score_sd > 0
    AND a.aspect IS NULL AND b.aspect IS NULL;
