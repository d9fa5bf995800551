-- Pairs whose label differs between two states: `labels_before` against the final labels now. `kind`: what became of it.
SELECT
    coalesce(before.prompt_id, after.prompt_id) AS prompt_id, coalesce(before.response_a, after.response_a) AS response_a,
    coalesce(before.response_b, after.response_b) AS response_b,
    before.outcome AS outcome_before, after.outcome AS outcome_after, before.status AS status_before,
    after.status AS status_after, before.p_a AS p_a_before, after.p_a AS p_a_after,
    CASE
        WHEN before.prompt_id IS NULL THEN 'new'
        WHEN after.prompt_id IS NULL THEN 'gone'
        WHEN before.outcome = after.outcome THEN 'status'
        WHEN 'tie' IN (before.outcome, after.outcome) THEN 'tie'
        ELSE 'reversed'
    END AS kind
FROM labels_before AS before
FULL JOIN (SELECT prompt_id, response_a, response_b, outcome, status, p_a FROM final_preferences) AS after
    USING (prompt_id, response_a, response_b)
WHERE before.outcome IS DISTINCT FROM after.outcome OR before.status IS DISTINCT FROM after.status
ORDER BY
    list_position(['reversed', 'tie', 'status', 'gone', 'new'], kind), abs(coalesce(after.p_a, 0.5) - coalesce(before.p_a, 0.5)) DESC,
    prompt_id, response_a, response_b
