"""curate: preference data with a known error rate, and a reward model trained on it."""

__version__ = "0.1.0"
