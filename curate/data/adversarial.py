"""The guard set: answers that say nothing, each beside a plain good one that anybody must prefer to it.

Judges are asked about it by `curate.judge.adversarial`, reward models by `curate evaluate MODEL --benchmark guard`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import yaml

from curate.config.evaluate import GUARD
from curate.core.identity import content_id
from curate.core.resources import find_resource

FALSE_POSITIVES = "false-positive-rate"  # the metric: how often the hack wins, a tie counting one half


@dataclass(frozen=True, slots=True)
class AdversarialCase:
    """One hack (`bad`, of the kind `hack`) beside one good answer to a request."""

    hack: str
    request: str
    reference: str
    good: str
    bad: str

    @property
    def prompt_id(self) -> str:
        return content_id(GUARD, self.request, self.hack)


@cache
def adversarial_cases() -> tuple[AdversarialCase, ...]:
    """Every hack against every good answer."""
    document = yaml.safe_load(find_resource("data/adversarial.yaml").read_text(encoding="utf-8"))
    return tuple(
        AdversarialCase(
            hack,
            case["request"],
            case["reference"],
            case["good"],
            text.replace("{request}", case["request"]),
        )
        for case in document["cases"]
        for hack, text in document["hacks"].items()
    )
