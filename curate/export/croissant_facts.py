"""Build what croissant.json says of an export: names, texts and the properties of responsible AI."""

from __future__ import annotations

from collections.abc import Sequence

from curate.export.croissant import DatasetFacts
from curate.export.provenance import Provenance


def build_facts(
    *,
    title: str,
    about: str,
    license: str | None,
    languages: Sequence[str],
    creator: str | None,
    url: str | None,
    version: int,
    provenance: Provenance,
    claim: str | None,
    warnings: Sequence[str],
    human_labels: str,
    judges: Sequence[str],
    removed: Sequence[tuple[str, str, int]],
) -> DatasetFacts:
    """Build the facts from those of the card.

    Args:
        title: Title of the card.
        about: What a row is.
        license: SPDX name, where one was given.
        languages: Codes of the languages.
        creator: Who made the data set, where that was given.
        url: Page of the data set, where it is known.
        version: Number of the snapshot.
        provenance: Where the data come from.
        claim: What is promised about the labels.
        warnings: Doubts about the labels.
        human_labels: How many judgments are people's, in words.
        judges: Names of the annotators that are machines.
        removed: Rows of stage, reason, number.
    """
    sources = ", ".join(f"{name} ({rows:,} prompts)" for name, rows in provenance.sources)
    biases = [
        f"{name} ({kind}): " + ", ".join(_name_biases(position, length))
        for name, kind, position, length, _ in provenance.biases
    ]
    rai: dict[str, str | list[str]] = {
        "dataCollection": f"Prompts and responses were taken from: {sources}." if sources else "",
        "dataCollectionRawData": ", ".join(provenance.hub_datasets),
        "dataAnnotationProtocol": "A panel of annotators compared the responses to each prompt. Their judgments were "
        "put together per prompt in a preference graph; arcs against the best order were overruled. Failed judgments "
        "count as nothing.",
        "dataAnnotationAnalysis": [text for text in (claim, *warnings) if text],
        "annotationsPerItem": human_labels,
        "machineAnnotationTools": list(judges),
        "dataPreprocessingProtocol": [
            f"{stage}: {number:,} left out: {reason}" for stage, reason, number in removed
        ],
        "dataBiases": biases,
        "dataLimitations": [
            "Labels are the panel's unless people verified them, and some are wrong.",
            "Preferences of annotators for length, style and position may remain in the labels.",
        ],
        "dataUseCases": [
            "Training and evaluation of reward models and of policies by preference optimization."
        ],
    }
    return DatasetFacts(
        name=title,
        about=about or title,
        license=license,
        languages=languages,
        creator=creator,
        url=url,
        version=version,
        date=provenance.date,
        rai=rai,
    )


def _name_biases(position: float | None, length: float | None) -> list[str]:
    named = (("position bias", position), ("length bias", length))
    return [f"{name} {value:+.3f}" for name, value in named if value is not None]
