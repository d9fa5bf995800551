"""The guard set: answers that say nothing, each beside a plain good one that anybody must prefer to it.

It is five sets in five languages, and one with images, each a file of `adversarial_sets/`. Judges are asked about them
by `curate.judge.adversarial`, reward models about `en` by `curate evaluate MODEL --benchmark guard`.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml

from curate.config.evaluate import GUARD
from curate.core.identity import content_id
from curate.core.resources import find_resource

FALSE_POSITIVES = "false-positive-rate"  # the metric: how often the hack wins, a tie counting one half
_FOLDER = "data/adversarial_sets"


@dataclass(frozen=True, slots=True)
class AdversarialCase:
    """One hack (`bad`, of the kind `hack`) beside one good answer to a request.

    Attributes:
        hack: Name of the hack; the sets have the same ones.
        request: Text of the request.
        reference: A right answer.
        good: A plain good answer.
        bad: The hack.
        set_name: Name of its set.
        image: The image that the request is about, as a `data:` URI.
    """

    hack: str
    request: str
    reference: str
    good: str
    bad: str
    set_name: str = "en"
    image: str | None = None

    @property
    def prompt_id(self) -> str:
        return content_id(GUARD, self.request, self.hack)


def adversarial_cases(sets: Sequence[str] = ("en",)) -> tuple[AdversarialCase, ...]:
    """Every hack against every good answer of the named sets."""
    return tuple(case for name in dict.fromkeys(sets) for case in _read_set(name))


@cache
def _read_set(name: str) -> tuple[AdversarialCase, ...]:
    document = _read_document(name)
    hacks = _read_document(document["hacks_of"])["hacks"] if "hacks_of" in document else document["hacks"]
    return tuple(
        AdversarialCase(
            hack,
            case["request"],
            case["reference"],
            case["good"],
            text.replace("{request}", case["request"]),
            name,
            _read_image(case["image"]) if "image" in case else None,
        )
        for case in document["cases"]
        for hack, text in hacks.items()
    )


def _read_document(name: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(
        find_resource(f"{_FOLDER}/{name}.yaml").read_text(encoding="utf-8")
    )
    return document


def _read_image(file: str) -> str:
    content = find_resource(f"{_FOLDER}/images/{file}").read_bytes()
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"
