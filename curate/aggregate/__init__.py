"""From noisy judgments to preferences: annotator models, preference graphs, calibration."""

from curate.aggregate.stage import aggregate

__all__ = ["aggregate"]
