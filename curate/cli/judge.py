"""`curate judge`: ask the judges of curate.yaml."""

from __future__ import annotations

from typing import Annotated

import typer

from curate.cli.documents import Estimates, Stages
from curate.cli.opening import load_config, open_lake
from curate.cli.options import DEFAULT_CONFIG, ConfigPath
from curate.cli.tables import print_estimates, print_summaries
from curate.core.progress import progress_bars


def ask_judges(
    only: Annotated[
        list[str] | None, typer.Option("--judge", "-j", help="Ask this judge only; may be repeated.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print calls, tokens and cost of each judge; send nothing.")
    ] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Judge only the first N prompts.")] = None,
    max_cost: Annotated[
        float | None, typer.Option(min=0, help="Stop before this run costs more than this.")
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option(min=0, help="Stop before this run takes more tokens than this.")
    ] = None,
    config: ConfigPath = DEFAULT_CONFIG,
) -> Stages | Estimates:
    """Ask the judges all questions that they have not answered yet."""
    from curate.judge import estimate_cost, judge_responses

    settings = load_config(config)
    limits = {"max_cost": max_cost, "max_tokens": max_tokens}
    overrides = {name: value for name, value in limits.items() if value is not None}
    settings = settings.model_copy(update={"judge": settings.judge.model_copy(update=overrides)})
    with open_lake(settings, read_only=dry_run) as lake:
        if dry_run:
            estimates = estimate_cost(lake, settings, only=only, limit=limit)
            print_estimates(estimates)
            return Estimates(list(estimates))
        return print_summaries([judge_responses(lake, settings, only=only, limit=limit, track=progress_bars)])
