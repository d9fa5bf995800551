"""Serving a reward model to reinforcement learning: over HTTP, or as a Python function.

curate serve-reward models/reward --port 8300

from curate.serve import reward_function
trainer = GRPOTrainer(model=…, reward_funcs=[reward_function("models/reward")], …)
"""

from __future__ import annotations

from curate.serve.function import reward_function

__all__ = ["reward_function"]
