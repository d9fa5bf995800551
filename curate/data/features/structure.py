"""Format: what a response looks like on the page."""

from __future__ import annotations

import math
import re

from curate.data.features.base import FeatureItem, add_feature

# Every pattern here takes linear time, whatever the text.
_BULLET = re.compile(r"^[^\S\n]*+[-*•+]\s++\S", re.MULTILINE)
_NUMBERED = re.compile(r"^[^\S\n]*+\d{1,3}[.)]\s++\S", re.MULTILINE)
_HEADING = re.compile(r"^[^\S\n]*+#{1,6} ++\S", re.MULTILINE)
_BOLD = re.compile(r"\*\*[^*\n]{1,200}\*\*")
_TABLE = re.compile(r"^[^\S\n]*+\|[^\n]*\|[^\S\n]*+$", re.MULTILINE)
_EMOJI = re.compile("[\U0001f300-\U0001faff\u2600-\u27bf]")


@add_feature(
    "bullets", "format", "The response is a bulleted list.", "has more bullet points", "has fewer bullet points",
    tempts=1,
)  # fmt: skip
def measure_bullets(item: FeatureItem) -> float:
    """Return ln(1 + bullet points)."""
    return math.log1p(len(_BULLET.findall(item.response.prose)))


@add_feature(
    "steps", "format", "The response is a numbered list.", "has more numbered points", "has fewer numbered points",
    tempts=1,
)  # fmt: skip
def measure_steps(item: FeatureItem) -> float:
    """Return ln(1 + numbered points)."""
    return math.log1p(len(_NUMBERED.findall(item.response.prose)))


@add_feature(
    "markdown", "format", "The response uses headings, bold words or tables.", "uses more headings, bold or tables",
    "uses fewer headings, bold or tables", tempts=1,
)  # fmt: skip
def measure_markdown(item: FeatureItem) -> float:
    """Return ln(1 + headings, bold phrases and rows of tables)."""
    return math.log1p(sum(len(mark.findall(item.response.prose)) for mark in (_HEADING, _BOLD, _TABLE)))


@add_feature("code", "format", "The response contains a block of code.", "has more code", "has less code")
def measure_code(item: FeatureItem) -> float:
    """Return ln(1 + lines in fenced blocks)."""
    return math.log1p(item.response.text.count("\n") - item.response.prose.count("\n"))


@add_feature("emoji", "format", "The response uses emoji.", "uses more emoji", "uses fewer emoji", tempts=1)
def measure_emoji(item: FeatureItem) -> float:
    """Return ln(1 + emoji)."""
    return math.log1p(len(_EMOJI.findall(item.response.text)))


@add_feature(
    "exclamations",
    "format",
    "The response exclaims.",
    "has more exclamation marks",
    "has fewer exclamation marks",
)
def measure_exclamations(item: FeatureItem) -> float:
    """Return ln(1 + exclamation marks)."""
    return math.log1p(item.response.prose.count("!"))
