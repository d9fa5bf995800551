"""The annotator model that `auto` stands for: `panel` with enough labels of people, else `majority`."""

from __future__ import annotations

import numpy as np

from curate.aggregate.annotators.panel import MIN_LABELS
from curate.aggregate.human_votes import People
from curate.aggregate.votes import Votes
from curate.config.aggregate import AggregateSection


def resolve_annotator_model(votes: Votes, people: People, section: AggregateSection) -> AggregateSection:
    """Replace `auto` in the settings by the model that it stands for; any other model stays.

    `panel` needs five labels: pairs on which people took a side and a judge voted too. Ties and pairs that only people
    saw do not show whom to believe. Verdicts under test count too: their number does not reveal what they are, so a
    guarantee may be tested on them all the same.
    """
    if section.annotator_model != "auto":
        return section
    enough = count_labels(votes, people) >= MIN_LABELS
    return section.model_copy(update={"annotator_model": "panel" if enough else "majority"})


def count_labels(votes: Votes, people: People) -> int:
    """Count the pairs on which people took a side and a judge voted too."""
    decided = people.pairs[people.verdict != 0]
    if not len(decided):
        return 0
    judged = votes.pair_keys(~votes.human[votes.annotator])
    index = np.minimum(np.searchsorted(decided, judged), len(decided) - 1)
    return len(np.unique(index[decided[index] == judged]))


def describe_choice(asked: AggregateSection, used: AggregateSection, labels: int) -> str:
    """Say in a sentence which model `auto` has chosen and why; empty where another one was asked for."""
    if asked.annotator_model != "auto":
        return ""
    pairs = f"{labels:,} {'pair' if labels == 1 else 'pairs'}"
    return (
        f"Annotator model: {used.annotator_model_name} (auto: people took a side on {pairs} that judges voted on; "
        f"panel takes {MIN_LABELS})."
    )
