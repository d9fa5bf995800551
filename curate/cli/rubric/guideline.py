"""`curate rubric guideline`: a rubric as the text that people read beside a task."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from curate.cli.documents import Guideline
from curate.cli.options import DEFAULT_CONFIG, ConfigPath
from curate.core.terminal import escape_controls, print_data


def print_guideline(
    rubric: Annotated[
        str, typer.Argument(help="Name of a rubric in the project's folder, or its YAML file.")
    ],
    config: ConfigPath = DEFAULT_CONFIG,
) -> Guideline:
    """Print a rubric as Markdown for people: what must hold, what makes a response better, what makes it worse.

    `curate rubric guideline NAME > guideline.md`, and `verify: {guideline: guideline.md}` shows it beside every task.
    """
    from curate.cli.opening import load_config
    from curate.data.rubric import read_rubric
    from curate.data.rubric_text import format_guideline

    path = Path(rubric)
    if path.suffix not in (".yaml", ".yml"):
        settings = load_config(config)
        path = settings.resolve(settings.rubric.folder) / f"{rubric}.yaml"
    text = escape_controls(format_guideline(read_rubric(path)))
    print_data(text, end="")
    return Guideline(text)
