-- Leave out what a filter has decided to drop: rows of its prompts, and rows with one of its responses.
UPDATE selection
SET reason = 'filter ' || dropped."filter"
FROM dropped_by_filter AS dropped
WHERE reason IS NULL AND (dropped.item_id = selection.prompt_id OR list_contains(selection.responses, dropped.item_id))
