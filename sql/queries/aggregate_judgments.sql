-- All that the panel says about pairs. The order makes every later floating-point sum the same sum.
SELECT response_a, response_b, annotator_id, kind, outcome, shown, p_a
FROM pairwise_statements
ORDER BY prompt_id, statement_id
