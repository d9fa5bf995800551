-- What filters drop, and one that does: each prompt or response once.
CREATE OR REPLACE TEMP VIEW dropped_by_filter AS
SELECT item_id, min("filter") AS "filter" FROM lake.filter_decisions WHERE action = 'drop' GROUP BY item_id;
