"""`curate verify quality` and `groups`: how well people work, and where their views differ."""

from __future__ import annotations

from typing import Annotated

import typer

from curate.cli.opening import load_config, open_lake
from curate.cli.options import DEFAULT_CONFIG, ConfigPath


def show_quality(config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Show the quality of people's work: gold questions, repeats, speed, agreement."""
    from curate.stats.reliability import measure_quality
    from curate.verify.quality_table import print_quality

    settings = load_config(config)
    with open_lake(settings, read_only=True) as lake:
        print_quality(measure_quality(lake, fast=settings.verify.quality.fast))


def show_groups(
    most: Annotated[int, typer.Option(min=1, help="Largest number of groups to try.")] = 4,
    config: ConfigPath = DEFAULT_CONFIG,
) -> None:
    """Show groups of people who hold different views, their members, and the pairs on which they differ."""
    from curate.stats.groups import find_groups
    from curate.verify.quality_table import print_groups

    with open_lake(load_config(config), read_only=True) as lake:
        print_groups(find_groups(lake, most=most))
