-- Leave out what a filter has decided to drop: rows of its prompts, and rows with one of its responses.
UPDATE selection
SET reason = 'filter ' || dropped."filter"
FROM (
    SELECT number, min("filter") AS "filter"
    FROM (
        SELECT rowid AS number, unnest(list_prepend(prompt_id, responses)) AS item_id FROM selection WHERE reason IS NULL
    )
    JOIN dropped_by_filter USING (item_id)
    GROUP BY number
) AS dropped
WHERE selection.rowid = dropped.number
