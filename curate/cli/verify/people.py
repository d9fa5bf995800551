"""`curate verify quality` and `groups`: how well people work, and where their views differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from curate.cli.documents import AgreementFigure, PersonFigures, QualityDocument
from curate.cli.opening import load_config, open_lake
from curate.cli.options import DEFAULT_CONFIG, ConfigPath

if TYPE_CHECKING:
    from curate.stats.groups import Groups
    from curate.stats.reliability import Quality


def show_quality(config: ConfigPath = DEFAULT_CONFIG) -> QualityDocument:
    """Show the quality of people's work: gold questions, repeats, speed, agreement."""
    from curate.stats.reliability import measure_quality
    from curate.verify.quality_table import print_quality

    settings = load_config(config)
    with open_lake(settings, read_only=True) as lake:
        quality = measure_quality(lake, fast=settings.verify.quality.fast)
    print_quality(quality)
    return _describe_quality(quality)


def show_groups(
    most: Annotated[int, typer.Option(min=1, help="Largest number of groups to try.")] = 4,
    config: ConfigPath = DEFAULT_CONFIG,
) -> Groups:
    """Show groups of people who hold different views, their members, and the pairs on which they differ."""
    from curate.stats.groups import find_groups
    from curate.verify.quality_table import print_groups

    with open_lake(load_config(config), read_only=True) as lake:
        groups = find_groups(lake, most=most)
    print_groups(groups)
    return groups


def _describe_quality(quality: Quality) -> QualityDocument:
    estimates = {f"krippendorff-alpha {name}": estimate for name, estimate in quality.alpha.items()}
    estimates |= {"krippendorff-alpha, tie half-way": quality.ordered, "fleiss-kappa": quality.fleiss}
    agreement = [
        AgreementFigure(name, one.value, one.low, one.high, one.n) for name, one in estimates.items()
    ]
    for (first, second), (kappa, n) in quality.cohen.items():
        agreement.append(AgreementFigure(f"cohen-kappa {first} {second}", kappa, None, None, n))
    people = [
        PersonFigures(
            person.annotator_id,
            person.answers,
            person.skipped,
            (person.gold.right, person.gold.n),
            (person.peers.right, person.peers.n),
            (person.itself.right, person.itself.n),
            person.seconds,
            list(person.flags),
        )
        for person in quality.people
    ]
    return QualityDocument(agreement, people, quality.disputed)
