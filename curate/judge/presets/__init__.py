"""Presets: judges after published methods, by name; curate.yaml may override each option.

    - {name: careful, preset: metrics-reference, engine: big}
    - {name: quick, preset: vanilla, engine: small, tie: true}

Each is a file of this folder with `about`, `source` and `options`. A preset is only its options: a judge that
spells them out is the same judge with the same revision.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml

from curate.core.errors import CurateError
from curate.core.resources import find_resource


@dataclass(frozen=True, slots=True)
class Preset:
    """A preset: `about` describes it in a sentence, `source` names the paper or project."""

    about: str
    source: str
    options: Mapping[str, Any]


@cache
def load_presets() -> Mapping[str, Preset]:
    """Load all presets of the package, by name."""
    files = sorted(find_resource("judge/presets").iterdir(), key=lambda file: file.name)
    return {
        file.name.removesuffix(".yaml"): Preset(**yaml.safe_load(file.read_text(encoding="utf-8")))
        for file in files
        if file.name.endswith(".yaml")
    }


def apply_preset(options: Mapping[str, Any], *, where: str) -> dict[str, Any]:
    """Fill in a judge's options from its `preset`; `where` is the judge's place in curate.yaml."""
    chosen = dict(options)
    name = chosen.pop("preset", None)
    if name is None:
        return chosen
    if name not in load_presets():
        close = difflib.get_close_matches(str(name), load_presets(), n=1)
        hint = f"did you mean `{close[0]}`?" if close else f"there are {', '.join(load_presets())}."
        raise CurateError(f"`{where}.preset` is {name!r}, which is no preset: {hint}")
    given = load_presets()[name].options
    if chosen.get("kind", given["kind"]) != given["kind"]:
        raise CurateError(
            f"`{where}` has preset {name!r}, which is of kind {given['kind']}, and `kind: {chosen['kind']}`: "
            "leave out one of them."
        )
    return {**given, **chosen}
