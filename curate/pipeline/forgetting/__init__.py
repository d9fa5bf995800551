"""Forget: sources, prompts and people leave the lake, with what was derived from them and a receipt."""

from curate.pipeline.forgetting.stage import finish_killed_runs, forget_target, plan_forgetting
from curate.pipeline.forgetting.target import ForgetTarget, find_person, find_prompts, find_source

__all__ = [
    "ForgetTarget",
    "find_person",
    "find_prompts",
    "find_source",
    "finish_killed_runs",
    "forget_target",
    "plan_forgetting",
]
