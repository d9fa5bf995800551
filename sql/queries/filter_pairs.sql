-- Pairs with the verdict of most annotators as a whole (1 a, -1 b) and in each aspect, as filters read them. The table
-- `aspect_votes` has what annotators say.
WITH verdicts AS (
    SELECT prompt_id, response_a, response_b, aspect, sign(sum(verdict))::BIGINT AS verdict
    FROM aspect_votes
    GROUP BY prompt_id, response_a, response_b, aspect
)
SELECT
    response_a || ' ' || response_b AS pair_id, prompt_id, prompts.source,
    CASE WHEN json_valid(meta) THEN json_extract_string(meta, '$.category') END AS category,
    coalesce(max(verdict) FILTER (aspect = ''), 0) AS whole,
    list(aspect ORDER BY aspect) FILTER (aspect <> '') AS aspects,
    list(verdict ORDER BY aspect) FILTER (aspect <> '') AS verdicts
FROM verdicts
JOIN prompts USING (prompt_id)
WHERE prompt_id NOT IN (SELECT item_id FROM dropped_items)
    AND response_a NOT IN (SELECT item_id FROM dropped_items) AND response_b NOT IN (SELECT item_id FROM dropped_items)
    AND response_a || ' ' || response_b NOT IN (SELECT item_id FROM dropped_items)
GROUP BY prompt_id, response_a, response_b, prompts.source, meta
ORDER BY prompt_id, response_a, response_b
