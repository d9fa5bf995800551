"""From noisy judgments to preferences: annotator models, preference graphs, calibration."""

from curate.aggregate.stage import aggregate_judgments

__all__ = ["aggregate_judgments"]
