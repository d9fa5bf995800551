-- What may be said about the labels of one iteration. $1 iteration.
SELECT holds, claim, calibration, ece, tested FROM assessments WHERE iteration = $1
