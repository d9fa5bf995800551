"""Perturbations of pairs that do not change which response is better: a model that changes its mind is not robust.

- `rejected padded`: the worse response gets empty phrases, until it is longer than every better one.
- `rejected in markdown`: the worse response gets a heading, bullets and a bold beginning; its words stay.
- `chosen plain`: the better response loses its markdown; its words stay.
- `order reversed`: the responses are handed over in reverse. A model that scores each by itself cannot mind.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Callable, Sequence

from curate.data.conversation import change_texts
from curate.evaluate.benchmark import BenchmarkItem
from curate.evaluate.scores import PAIRS, MetricScore
from curate.evaluate.tally import Tally
from curate.evaluate.verdicts import ItemVerdict

KEPT = "kept"  # the metric: share of the pairs decided rightly that still are

_FILLER = (
    "Please let me know if there is anything else that you would like to know.",
    "I hope that this is what you were looking for.",
    "There is much more that could be said about this.",
    "As always, it depends on the circumstances.",
)
_MARGIN = 1.2


def pad_text(text: str, length: int) -> str:
    """Pad a text with empty phrases until it has at least `length` characters."""
    for sentence in itertools.cycle(_FILLER):
        if len(text) >= length:
            return text
        text = f"{text.rstrip()} {sentence}".lstrip()
    raise AssertionError("unreachable")


_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=\S)")


def dress_in_markdown(text: str) -> str:
    """Put the sentences under a heading and into bullets, the first one bold. Code and lists stay as they are."""
    if "```" in text or "\n" in text.strip():
        return f"## Answer\n\n{text}"
    first, *others = _SENTENCE.split(text.strip())
    return "\n".join(
        ["## Answer", "", f"- **{first}**" if first else "-", *(f"- {sentence}" for sentence in others)]
    )


_MARKS = (
    (re.compile(r"^[ \t]*#{1,6}[ \t]+", re.MULTILINE), ""),
    (re.compile(r"^([ \t]*)[-*+][ \t]+", re.MULTILINE), r"\1"),
    (re.compile(r"(\*\*|__)(?=\S)((?:(?!\1).)++)(?<=\S)\1"), r"\2"),
)


def strip_markdown(text: str) -> str:
    """Remove headings, bullets and bold; text with code in it stays as it is."""
    if "```" in text:
        return text
    for mark, instead in _MARKS:
        text = mark.sub(instead, text)
    return text


def _change_responses(
    item: BenchmarkItem, *, best: Callable[[str], str] = str, worse: Callable[[str], str] = str
) -> BenchmarkItem:
    top = min(item.tiers)
    answers = (
        change_texts(answer, best if tier == top else worse)
        for answer, tier in zip(item.responses, item.tiers, strict=True)
    )
    return dataclasses.replace(item, responses=tuple(answers))


def _pad_worse(item: BenchmarkItem) -> BenchmarkItem:
    top = min(item.tiers)
    lengths = [len(text) for text, tier in zip(item.texts, item.tiers, strict=True) if tier == top]
    return _change_responses(item, worse=lambda text: pad_text(text, int(_MARGIN * max(lengths)) + 1))


def _reverse_order(item: BenchmarkItem) -> BenchmarkItem:
    return dataclasses.replace(item, responses=item.responses[::-1], tiers=item.tiers[::-1])


PERTURBATIONS: dict[str, Callable[[BenchmarkItem], BenchmarkItem]] = {
    "rejected padded": _pad_worse,
    "rejected in markdown": lambda item: _change_responses(item, worse=dress_in_markdown),
    "chosen plain": lambda item: _change_responses(item, best=strip_markdown),
    "order reversed": _reverse_order,
}


def perturb_items(items: Sequence[BenchmarkItem], name: str) -> list[BenchmarkItem]:
    """Apply a perturbation of `PERTURBATIONS` to all items."""
    return [PERTURBATIONS[name](item) for item in items]


def measure_robustness(
    subject: str,
    name: str,
    items: Sequence[BenchmarkItem],
    before: Sequence[ItemVerdict],
    after: Sequence[ItemVerdict],
    *,
    resamples: int,
) -> list[MetricScore]:
    """Compute the accuracy on perturbed pairs, and the share of the pairs decided rightly that still are.

    Args:
        subject: Name of the subject.
        name: Name of the perturbation.
        items: The items before it.
        before: The subject's verdict on each item.
        after: Its verdict on each perturbed item.
        resamples: Bootstrap resamples of the prompts; 0: no intervals.
    """
    tally = Tally(resamples=resamples)
    for item, old, new in zip(items, before, after, strict=True):
        moved_to = range(len(item.tiers))[::-1] if name == "order reversed" else range(len(item.tiers))
        for better, worse in item.iterate_pairs():
            right = new.compare_pair(moved_to[better], moved_to[worse])
            if right != right:  # NaN: no verdict
                continue
            tally.add("pairs", item.cluster, right)
            if old.compare_pair(better, worse) == 1.0:
                tally.add("kept", item.cluster, right)
    return [
        MetricScore(subject, metric, tally.estimate_mean({column: 1.0}), name)
        for metric, column in ((PAIRS, "pairs"), (KEPT, "kept"))
        if column in tally
    ]
