-- Leave out what a filter has decided to drop: rows of its prompts, and rows with one of its responses.
UPDATE selection
SET reason = 'filter ' || dropped."filter"
FROM (SELECT item_id, min("filter") AS "filter" FROM filter_decisions WHERE action = 'drop' GROUP BY item_id) AS dropped
WHERE reason IS NULL AND (dropped.item_id = selection.prompt_id OR list_contains(selection.responses, dropped.item_id))
