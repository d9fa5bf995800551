-- What people's labels say of the last iteration's labels.
SELECT
    holds, claim, labels, learnt, tested, drawn, pairs, accepted, delta, error, error_low, error_high, calibration,
    ece_before, ece, bin_confidence, bin_accuracy, bin_count
FROM assessments
WHERE iteration = (SELECT iteration FROM final_iteration)
