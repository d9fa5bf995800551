"""Fit: what a response has to do with its prompt, and with the reference where there is one."""

from __future__ import annotations

from curate.data.features.base import FeatureItem, TextView, add_feature
from curate.data.prompt_constraints import find_constraints


@add_feature(
    "constraints", "fit", "The response keeps the constraints that the prompt counts out.",
    "keeps more of the prompt's constraints", "keeps fewer of the prompt's constraints",
)  # fmt: skip
def measure_constraints(item: FeatureItem) -> float | None:
    """Return the share of countable constraints that are kept; None where the prompt has none."""
    results = [holds(item.response.text) for holds in find_constraints(item.prompt.text)]
    return sum(results) / len(results) if results else None


@add_feature(
    "on-topic", "fit", "The response takes up the words of the prompt.", "takes up more words of the prompt",
    "takes up fewer words of the prompt",
)  # fmt: skip
def measure_topic(item: FeatureItem) -> float | None:
    """Return the share of the prompt's words that the response uses."""
    return _measure_overlap(item.prompt, item.response)


@add_feature(
    "new-words", "fit", "The response says what the prompt has not said.", "adds more to the words of the prompt",
    "adds less to the words of the prompt",
)  # fmt: skip
def measure_novelty(item: FeatureItem) -> float | None:
    """Return the share of the response's words that are not in the prompt."""
    shared = _measure_overlap(item.response, item.prompt)
    return None if shared is None else 1.0 - shared


@add_feature(
    "echo", "fit", "The response repeats the prompt.", "repeats more of the prompt word by word",
    "repeats less of the prompt word by word",
)  # fmt: skip
def measure_echo(item: FeatureItem) -> float | None:
    """Return the share of the response's runs of four words that stand in the prompt."""
    runs, given = (_list_runs(view) for view in (item.response, item.prompt))
    return len(runs & given) / len(runs) if runs and given else None


@add_feature(
    "reference-recall", "fit", "The response says what the reference says.", "covers more of the reference",
    "covers less of the reference",
)  # fmt: skip
def measure_recall(item: FeatureItem) -> float | None:
    """Return the share of the reference's words that the response uses."""
    return None if item.reference is None else _measure_overlap(item.reference, item.response)


@add_feature(
    "reference-precision", "fit", "The response says nothing beside the reference.",
    "says less beside the reference", "says more beside the reference",
)  # fmt: skip
def measure_precision(item: FeatureItem) -> float | None:
    """Return the share of the response's words that are in the reference."""
    return None if item.reference is None else _measure_overlap(item.response, item.reference)


def _measure_overlap(whole: TextView, part: TextView) -> float | None:
    """Return the share of the words of `whole` that `part` has, of those that carry meaning."""
    wanted = whole.vocabulary
    return len(wanted & part.vocabulary) / len(wanted) if wanted else None


def _list_runs(view: TextView) -> set[tuple[str, ...]]:
    words = view.words
    return {tuple(words[start : start + 4]) for start in range(len(words) - 3)}
