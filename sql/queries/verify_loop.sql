-- What the loop has done so far, turn by turn: the chunks that it wrote.
SELECT part, details, finished_at FROM runs
WHERE stage = 'verify' AND starts_with(part, 'loop ') AND status = 'done'
ORDER BY snapshot_in, finished_at, part
