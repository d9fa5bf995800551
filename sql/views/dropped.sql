-- What filters drop or have sent to people who have not let it pass, and one that does: each prompt or response once.
CREATE OR REPLACE TEMP VIEW dropped_by_filter AS
SELECT item_id, min("filter") AS "filter" FROM lake.filter_decisions WHERE memory.leaves_out(action) GROUP BY item_id;
CREATE OR REPLACE TEMP VIEW dropped_pairs AS
SELECT split_part(item_id, ' ', 1) AS response_a, split_part(item_id, ' ', 2) AS response_b, min("filter") AS "filter"
FROM lake.filter_decisions
WHERE action = 'drop' AND target = 'pair'
GROUP BY item_id;
