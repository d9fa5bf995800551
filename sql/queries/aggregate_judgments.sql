-- All that the panel says about pairs, in any order: `encode_votes` makes one order of them.
SELECT response_a, response_b, annotator_id, kind, outcome, shown, p_a
FROM pairwise_statements
