"""More of `curate verify …`: what to ask people, answers without a server, and how far to trust them."""

from __future__ import annotations

from typing import Annotated

import typer

from curate.commands.verify import DEFAULT, ConfigPath, app, open_lake, print_summary
from curate.config import load_config


@app.command()
def plan(
    budget: Annotated[int, typer.Option("--budget", "-n", help="Questions that may wait for an answer.")],
    config: ConfigPath = DEFAULT,
) -> None:
    """Choose what to ask people, and say what their answers would buy."""
    from curate.verify.plan import plan as choose

    with open_lake(settings := load_config(config)) as lake:
        print_summary(choose(lake, settings, budget=budget))
