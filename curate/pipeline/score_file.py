"""Scores of a reward model beside the rows of a file: resumable, in batches, no row left out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from curate.core.errors import CurateError
from curate.core.identity import content_id
from curate.core.progress import Track, no_progress
from curate.data.preference_files import digest_data, list_data_files, read_data_rows
from curate.pipeline.score_rows import ScoredRow, read_row, score_rows
from curate.reward.scorer import RewardScorer, describe_losses, open_reward_model
from curate.reward.transforms import RewardTransform, penalise_uncertainty

Float64 = NDArray[np.float64]
WriteRow = Callable[[ScoredRow, Float64, Float64], dict[str, Any]]
"""Makes the row that is written, of a row, its raw scores and its rewards."""

_PART = ".part"
_FIELDS = ("score", "scores", "score_chosen", "score_rejected", "raw_scores", "score_error")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoringOptions:
    """Settings by which the rows of a file are scored.

    Attributes:
        models: Reward models; of several, the mean score is taken.
        transform: Makes rewards of scores.
        penalty: Weight of the models' variance (see `penalise_uncertainty`).
        batch: Rows that are scored, and written, together.
        dtype: Precision of the models.
        order: Orders of the responses in which joint models are asked (see `open_reward_model`).
    """

    models: Sequence[str]
    transform: RewardTransform = field(default_factory=RewardTransform)
    penalty: float = 0.0
    batch: int = 256
    dtype: str = "auto"
    order: str | None = None


@dataclass(slots=True)
class ScoringSummary:
    """Counts of what has been written: all rows, those of an earlier run, responses, and those without a score."""

    rows: int = 0
    resumed: int = 0
    responses: int = 0
    missing: int = 0
    losses: list[str] = field(default_factory=list)


def open_scorers(
    models: Sequence[str], *, folder: Path, dtype: str, order: str | None = None
) -> list[RewardScorer]:
    """Open reward models; a prompt is read once for all its responses where the model allows it.

    Args:
        models: As in `open_reward_model`, like the other arguments.
        folder: Where relative paths start.
        dtype: Precision.
        order: Orders of the responses in which joint models are asked.
    """
    scorers = [open_reward_model(model, folder=folder, dtype=dtype, order=order) for model in models]
    return [
        scorer
        if scorer.sees_images
        else open_reward_model(model, folder=folder, dtype=dtype, share_prompts=True, order=order)
        for model, scorer in zip(models, scorers, strict=True)
    ]


def write_scored_file(
    source: Path,
    output: Path,
    options: ScoringOptions,
    *,
    write_row: WriteRow | None = None,
    force: bool = False,
    track: Track = no_progress,
) -> ScoringSummary:
    """Write a JSONL file with the rows of `source` and their scores.

    What a killed run has finished lies beside `output` (`.part`), and the same call goes on from there.

    Args:
        source: A JSONL or Parquet file, or a folder of them.
        output: The file to write.
        options: How rows are scored.
        write_row: Makes the written row; default: the row with its scores.
        force: Replace an `output` that exists.
        track: Shows progress.

    Raises:
        CurateError: A model or file cannot be opened, or `output` exists.
    """
    if output.exists() and not force:
        raise CurateError(f"{output} exists already: name another file with -o, or replace it with --force.")
    scorers = open_scorers(options.models, folder=Path.cwd(), dtype=options.dtype, order=options.order)
    make_row = write_row or add_scores
    digests = [scorer.revision for scorer in scorers]
    how = (options.transform.name, options.transform.clip, options.penalty, make_row.__name__)
    fingerprint = content_id("score", digest_data(source), digests, *map(str, how))
    part = output.with_name(output.name + _PART)
    summary = ScoringSummary()
    rows = (read_row(row) for file in list_data_files(source) for row in read_data_rows(file, None))
    with _open_part(part, fingerprint, summary) as stream, track(f"score {source.name}", None) as advance:
        for _ in islice(rows, summary.resumed):
            advance(1)
        while batch := list(islice(rows, options.batch)):
            for line in _score_batch(scorers, batch, options, make_row, summary):
                stream.write(line + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
            summary.rows += len(batch)
            advance(len(batch))
    _finish_part(part, output)
    summary.losses = [words for scorer in scorers if (words := describe_losses(scorer))]
    return summary


def add_scores(row: ScoredRow, raw: Float64, rewards: Float64) -> dict[str, Any]:
    """Return the row with its scores: `scores`, or `score_chosen` and `score_rejected`, or `score`."""
    fields = {name: value for name, value in row.fields.items() if name not in _FIELDS}
    if row.error:
        return fields | {"score_error": row.error}
    values = [_to_json(value) for value in rewards]
    if row.holds_list:
        scored: dict[str, Any] = {"scores": values}
    else:
        scored = dict(zip(row.columns, values, strict=True))
    if not np.array_equal(raw, rewards, equal_nan=True):
        scored["raw_scores"] = [_to_json(value) for value in raw]
    if None in values:
        scored["score_error"] = "the model cannot read a response"
    return fields | scored


def choose_best(row: ScoredRow, raw: Float64, rewards: Float64) -> dict[str, Any]:
    """Return the prompt with the response of the highest score: best of N. Of equal scores the first counts."""
    given = row.fields.get("responses")
    fields = {name: value for name, value in row.fields.items() if name not in (*_FIELDS, "responses")}
    if row.error or not isinstance(given, list):
        reason = row.error or "the row has no `responses` to choose among"
        return fields | {"response": None, "score": None, "score_error": reason}
    if not np.isfinite(rewards).any():
        reason = "the model can read none of the responses"
        return fields | {"response": None, "score": None, "score_error": reason}
    best = int(np.nanargmax(rewards))
    chosen = {"response": given[best], "score": float(rewards[best]), "best": best, "n": len(given)}
    return fields | chosen | {"scores": [_to_json(value) for value in rewards]}


def _score_batch(
    scorers: Sequence[RewardScorer],
    rows: Sequence[ScoredRow],
    options: ScoringOptions,
    make_row: WriteRow,
    summary: ScoringSummary,
) -> Iterator[bytes]:
    for row, scores in zip(rows, score_rows(scorers, rows), strict=True):
        combined = penalise_uncertainty(scores, options.penalty)
        n_responses = len(row.responses)
        raw, references = combined[:n_responses], combined[n_responses:]
        try:
            rewards = options.transform.apply(raw, references) if n_responses else raw
        except CurateError as error:  # nothing to compare the only response with: this row has no reward
            row, rewards = replace(row, error=str(error)), raw[:0]
        summary.responses += len(rewards)
        written = make_row(row, raw, rewards)
        summary.missing += max(int(np.isnan(rewards).sum()), int("score_error" in written))
        yield msgspec.json.encode(written)


def _open_part(part: Path, fingerprint: str, summary: ScoringSummary) -> Any:
    """Open the unfinished file behind its last whole line, or anew where it belongs to another call."""
    part.parent.mkdir(parents=True, exist_ok=True)
    head = msgspec.json.encode({"fingerprint": fingerprint}) + b"\n"
    kept = 0
    if part.exists():
        with part.open("rb") as earlier:
            if earlier.readline() == head:
                kept = len(head)
                for line in earlier:
                    if not line.endswith(b"\n"):
                        break
                    kept += len(line)
                    summary.resumed += 1
    summary.rows = summary.resumed
    stream = part.open("r+b" if kept else "wb")
    stream.truncate(kept)
    stream.seek(kept)
    if not kept:
        stream.write(head)
    return stream


def _finish_part(part: Path, output: Path) -> None:
    """Write the rows without the first line, which says what they belong to, and put them into place."""
    whole = output.with_name(output.name + ".new")
    with part.open("rb") as stream, whole.open("wb") as target:
        stream.readline()
        while block := stream.read(1 << 20):
            target.write(block)
        target.flush()
        os.fsync(target.fileno())
    whole.replace(output)
    part.unlink()


def _to_json(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
