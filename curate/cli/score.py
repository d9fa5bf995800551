"""`curate score` and `curate best-of-n`: a reward model over the rows of a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from curate.core.extras import require_extra
from curate.core.progress import progress_bars
from curate.core.terminal import print_line

if TYPE_CHECKING:
    from curate.pipeline.score_file import ScoringSummary

_SOURCE = typer.Argument(help="JSONL or Parquet file, or a folder of them: preferences or responses.")
_MODEL = typer.Option("--model", "-m", help="A reward model: a folder, pypi:PACKAGE or a hub id. Repeatable.")
_OUTPUT = typer.Option("--output", "-o", help="JSONL file to write; default: beside FILE.")
_PENALTY = typer.Option(min=0.0, help="Of several models: mean score less this many times their variance.")
_BATCH = typer.Option(min=1, help="Rows that are scored and written together.")
_ORDER = typer.Option(
    help="Orders in which a joint model reads the responses to a prompt: one, average:K or rotations. With several, it "
    "prints what the order changed."
)
_FORCE = typer.Option("--force", help="Replace the output file.")
Precision = Literal["auto", "float32", "bfloat16", "float16"]


def score_rows_of_file(
    file: Annotated[Path, _SOURCE],
    model: Annotated[list[str], _MODEL],
    output: Annotated[Path | None, _OUTPUT] = None,
    transform: Annotated[
        Literal["none", "centre", "normalise", "par"],
        typer.Option(
            help="Rewards for RL: less the prompt's mean, also over its spread, or preference as reward."
        ),
    ] = "none",
    clip: Annotated[float | None, typer.Option(min=0.0, help="Keep rewards between -CLIP and CLIP.")] = None,
    penalty: Annotated[float, _PENALTY] = 0.0,
    batch: Annotated[int, _BATCH] = 256,
    dtype: Annotated[Precision, typer.Option(help="Number format of the weights.")] = "auto",
    order: Annotated[str | None, _ORDER] = None,
    force: Annotated[bool, _FORCE] = False,
) -> ScoringSummary:
    """Write the rows of a file with the scores of a reward model. The same command goes on where it was stopped."""
    require_extra("models", "torch", "transformers", purpose="Scoring with a reward model")
    from curate.pipeline.score_file import ScoringOptions, write_scored_file
    from curate.reward.transforms import RewardTransform

    target = output or file.with_name(f"{_get_stem(file)}.scored.jsonl")
    options = ScoringOptions(
        models=model,
        transform=RewardTransform(transform, clip),
        penalty=penalty,
        batch=batch,
        dtype=dtype,
        order=order,
    )
    summary = write_scored_file(file, target, options, force=force, track=progress_bars)
    _print_summary(summary, target)
    return summary


def choose_best_of_n(
    file: Annotated[Path, _SOURCE],
    model: Annotated[list[str], _MODEL],
    output: Annotated[Path | None, _OUTPUT] = None,
    penalty: Annotated[float, _PENALTY] = 0.0,
    batch: Annotated[int, _BATCH] = 256,
    dtype: Annotated[Precision, typer.Option(help="Number format of the weights.")] = "auto",
    order: Annotated[str | None, _ORDER] = None,
    force: Annotated[bool, _FORCE] = False,
) -> ScoringSummary:
    """Write each prompt of a file with the best of its responses. The same command goes on where it was stopped."""
    require_extra("models", "torch", "transformers", purpose="Scoring with a reward model")
    from curate.pipeline.score_file import ScoringOptions, choose_best, write_scored_file

    target = output or file.with_name(f"{_get_stem(file)}.best.jsonl")
    options = ScoringOptions(models=model, penalty=penalty, batch=batch, dtype=dtype, order=order)
    summary = write_scored_file(
        file, target, options, write_row=choose_best, force=force, track=progress_bars
    )
    _print_summary(summary, target)
    return summary


def _get_stem(file: Path) -> str:
    name = file.name
    for ending in (".gz", ".zst", ".jsonl", ".json", ".parquet"):
        name = name.removesuffix(ending)
    return name


def _print_summary(summary: ScoringSummary, target: Path) -> None:
    before = f" ({summary.resumed:,} of them by an earlier run)" if summary.resumed else ""
    without = f"; {summary.missing:,} without a score, see `score_error`" if summary.missing else ""
    print_line(f"{summary.rows:,} rows{before}, {summary.responses:,} responses scored{without}: {target}")
    for words in summary.losses:
        print_line(words)
