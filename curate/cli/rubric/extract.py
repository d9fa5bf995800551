"""`curate rubric extract`: a language model writes criteria from labelled pairs and the reasons for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from curate.cli.documents import RubricExtraction
from curate.cli.opening import load_config, open_lake
from curate.cli.options import DEFAULT_CONFIG, ConfigPath
from curate.cli.tables import print_summaries
from curate.core.progress import progress_bars
from curate.core.terminal import new_console, new_table

if TYPE_CHECKING:
    from curate.config.project import Config
    from curate.rubric.extraction import ExtractionResult


def extract_criteria(
    config: ConfigPath = DEFAULT_CONFIG,
    name: Annotated[str | None, typer.Option("--name", "-n", help="Name of the rubric.")] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method", "-m", help="contrastive, traces, reasons, revise or hypotheses. Repeatable."
        ),
    ] = None,
    labels: Annotated[
        str | None, typer.Option("--labels", help="aggregate, people, or a file of preference rows.")
    ] = None,
    scope: Annotated[str | None, typer.Option("--scope", help="dataset or prompt.")] = None,
    engine: Annotated[str | None, typer.Option("--engine", help="Engine that reads the pairs.")] = None,
    pairs: Annotated[int | None, typer.Option("--pairs", min=1, help="Pairs to read at most.")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Write over a rubric that was edited, or that others wrote.")
    ] = False,
) -> RubricExtraction:
    """Let a language model write criteria from labelled pairs; options stand in for keys of `rubric.extract`."""
    from curate.rubric.extraction import extract_rubrics

    given = {
        "name": name, "methods": method or None, "labels": labels, "scope": scope, "engine": engine, "pairs": pairs,
    }  # fmt: skip
    settings = _override(
        load_config(config), {key: value for key, value in given.items() if value is not None}
    )
    with open_lake(settings) as lake:
        result = extract_rubrics(lake, settings, force=force, track=progress_bars)
    _print(result)
    return RubricExtraction(
        path=str(result.path),
        rubrics=list(result.rubrics),
        pairs=len(result.labels.pairs),
        pairs_found=result.labels.available,
        rows_dropped=dict(result.labels.dropped),
        calls={step: dict(states) for step, states in result.steps.items()},
        proposed=result.proposed,
        dropped=dict(result.dropped),
        notes=dict(result.notes),
    )


def _override(settings: Config, given: dict[str, object]) -> Config:
    from curate.config.rubric_extract import RubricExtract
    from curate.config.validation import validate_options

    before = settings.rubric.extract.model_dump()
    section = validate_options(RubricExtract, {**before, **given}, where="rubric.extract")
    return settings.model_copy(update={"rubric": settings.rubric.model_copy(update={"extract": section})})


def _print(result: ExtractionResult) -> None:
    console = new_console()
    if len(result.rubrics) == 1:
        table = new_table("criterion", "kind", "weight>", "sentence", "where from")
        for criterion in result.rubrics[0].criteria:
            table.add_row(
                criterion.name,
                criterion.kind,
                f"{criterion.weight:g}",
                criterion.text,
                criterion.reason or "",
            )
        console.print(table)
    calls = new_table("step", "calls>", "answered>", "known>", "failed>")
    for step, states in result.steps.items():
        counts = [sum(states.values()), *(states.get(state, 0) for state in ("answered", "known", "failed"))]
        calls.add_row(step, *(f"{count:,}" for count in counts))
    console.print(calls)
    dropped = ", ".join(f"{reason} {number:,}" for reason, number in result.dropped.items())
    pairs = f"{len(result.labels.pairs):,} of {result.labels.available:,} pairs"
    console.print(
        f"{result.proposed:,} criteria were proposed for {pairs}"
        + (f"; left out: {dropped}" if dropped else ""),
        soft_wrap=True,
    )
    print_summaries([result.summary])
