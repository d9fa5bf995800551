"""A trained reward model for those who optimise against it: over HTTP, or as a Python callable.

curate serve-reward models/reward --port 8300

from curate.serve import reward_function
trainer = GRPOTrainer(model=…, reward_funcs=[reward_function("models/reward")], …)
"""

from __future__ import annotations

from curate.serve.function import reward_function

__all__ = ["reward_function"]
