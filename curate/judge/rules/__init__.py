"""The rules of the judge of kind `rule`, one file each, and the registry that knows them by name."""

from __future__ import annotations

from curate.core.registry import Registry
from curate.judge.rules.base import Rule

__all__ = ["RULES", "Rule"]

RULES: Registry[Rule] = Registry(
    "rule",
    Rule,  # type: ignore[type-abstract]
    builtin={
        "format": "curate.judge.rules.format:FormatRule",
        "length": "curate.judge.rules.length:LengthRule",
        "refusal": "curate.judge.rules.refusal:RefusalRule",
        "repetition": "curate.judge.rules.repetition:RepetitionRule",
    },
)
