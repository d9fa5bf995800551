"""The annotator model that `auto` stands for: `panel` where it is safe, else `majority`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from curate.aggregate.annotators.panel import MIN_LABELS, find_warnings
from curate.aggregate.human_votes import People
from curate.aggregate.votes import Votes
from curate.config.aggregate import AggregateSection

MIN_PAIRS = 40
"""Pairs with two judges that show how reliable judges are; with fewer, a weight would be a guess."""


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """The settings with a model in place of `auto`, and why it is that one.

    `reason`: a sentence, "" where a model was asked for; `warnings`: reasons to doubt its labels.
    """

    section: AggregateSection
    reason: str = ""
    warnings: tuple[str, ...] = ()


def choose_annotator_model(votes: Votes, people: People, section: AggregateSection) -> ModelChoice:
    """Choose the model that `auto` stands for; any other model stays.

    With five labels it is `panel`: pairs on which people took a side and a judge voted too. Ties and pairs that only
    people saw do not show whom to believe. Without them it is `panel` as well, unless the judges hold two opinions:
    then learnt weights are a guess, and may be far worse than one vote each. Verdicts under test count too: their
    number does not reveal what they are, so a guarantee may be tested on them all the same.
    """
    if section.annotator_model != "auto":
        return ModelChoice(section)
    labels = _count_labels(votes, people)
    pairs = f"people took a side on {labels:,} {'pair' if labels == 1 else 'pairs'} that judges voted on"
    if labels >= MIN_LABELS:
        return _choose("panel", section, f"auto: {pairs}; panel takes {MIN_LABELS}")
    shared = _count_shared_pairs(votes)
    if shared < MIN_PAIRS:
        few = f"{shared:,} {'pair has' if shared == 1 else 'pairs have'} votes of two judges"
        return _choose("majority", section, f"auto: {pairs}, {few}; panel takes {MIN_LABELS} or {MIN_PAIRS}")
    if warnings := find_warnings(votes):
        reason = f"auto: the judges hold two opinions, and {pairs}; panel takes {MIN_LABELS}"
        return _choose("majority", section, reason, warnings)
    return _choose("panel", section, f"auto: the judges hold one opinion, and {pairs}")


def _choose(name: str, section: AggregateSection, reason: str, warnings: tuple[str, ...] = ()) -> ModelChoice:
    chosen = section.model_copy(update={"annotator_model": name})
    return ModelChoice(chosen, f"Annotator model: {name} ({reason}).", warnings)


def _count_labels(votes: Votes, people: People) -> int:
    """Count the pairs on which people took a side and a judge voted too."""
    decided = people.pairs[people.verdict != 0]
    if not len(decided):
        return 0
    judged = votes.pair_keys(~votes.human[votes.annotator])
    index = np.minimum(np.searchsorted(decided, judged), len(decided) - 1)
    return len(np.unique(index[decided[index] == judged]))


def _count_shared_pairs(votes: Votes) -> int:
    """Count pairs that two judges voted on; of many votes, only the first hundred thousand are looked at."""
    rows = slice(100_000)
    judges = ~votes.human[votes.annotator[rows]]
    seen = np.unique(np.stack([votes.pair_keys(rows), votes.annotator[rows]])[:, judges], axis=1)
    return int(np.count_nonzero(np.unique(seen[0], return_counts=True)[1] > 1))
