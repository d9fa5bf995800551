"""Texts of rubrics: names of criteria, lines of a prompt, and the guideline that people read."""

from __future__ import annotations

import re
from collections.abc import Collection

from curate.data.rubric import Criterion, Rubric

_NO_SLUG = re.compile(r"[^a-z0-9]+")
_EMPTY = re.compile(r"\b(?:an?|and|answer|are|be|does|for|in|is|its?|of|or|response|that|the|this|to|with)\b")
_HEADINGS = {
    "hard": "What must hold",
    "for": "What makes a response better",
    "against": "What makes a response worse",
}


def name_criterion(text: str, taken: Collection[str]) -> str:
    """Make a name for a sentence: its first words in small letters with hyphens, and a number where it is taken."""
    words = _NO_SLUG.sub(" ", _EMPTY.sub(" ", text.lower())).split()
    name = "-".join(words[:5])[:60].strip("-") or "criterion"
    number, unique = 1, name
    while unique in taken:
        number += 1
        unique = f"{name}-{number}"
    return unique


def format_criteria(rubric: Rubric) -> str:
    """Return the criteria as lines of a prompt: hard ones first; what speaks against a response is marked as such.

    Criteria without weight are left out.
    """
    ordered = sorted(rubric.criteria, key=lambda criterion: criterion.kind != "hard")
    return "\n".join(f"- {_mark(criterion)}{criterion.text}" for criterion in ordered if criterion.weight)


def format_guideline(rubric: Rubric) -> str:
    """Return a rubric as Markdown for people who judge by it: what must hold, what is better, what is worse.

    Within a part the heaviest criteria stand first; those without weight are left out.
    """
    parts: dict[str, list[Criterion]] = {name: [] for name in _HEADINGS}
    for criterion in sorted(rubric.criteria, key=lambda criterion: -abs(criterion.weight)):
        if criterion.weight:
            part = "against" if criterion.weight < 0 else "hard" if criterion.kind == "hard" else "for"
            parts[part].append(criterion)
    blocks = [f"# {rubric.name}", *([rubric.about] if rubric.about else [])]
    if rubric.aspect:
        blocks.append(f"Judge only this: {rubric.aspect}.")
    for name, criteria in parts.items():
        if criteria:
            lines = [line for criterion in criteria for line in _format_criterion(criterion)]
            blocks += [f"## {_HEADINGS[name]}", "\n".join(lines)]
    return "\n\n".join(blocks) + "\n"


def _mark(criterion: Criterion) -> str:
    must = "Must hold: " if criterion.kind == "hard" else ""
    return must or ("Counts against an answer: " if criterion.weight < 0 else "")


def _format_criterion(criterion: Criterion) -> list[str]:
    lines = [f"- {criterion.text}"]
    if criterion.reason:
        lines.append(f"  Why: {criterion.reason}")
    return lines + [f"  For example: “{example}”" for example in criterion.examples]
