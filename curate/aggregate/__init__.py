"""From noisy judgments to preferences: annotator models, preference graphs, calibration."""
