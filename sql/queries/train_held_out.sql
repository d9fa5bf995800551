-- The rows of `evaluations` on the benchmark $1 that the training of one model, $2, has written.
benchmark = ? AND run_id IN (SELECT run_id FROM lake.runs WHERE stage = 'train' AND part = ?)
