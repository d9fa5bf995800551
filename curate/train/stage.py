"""The stage `train`: read pairs, embed, fit, save, and say how good it is on what it has not seen."""

from __future__ import annotations

import time
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from curate.accuracy import LENGTH, RANDOM, Estimate, accuracy_by_length
from curate.config import HELD_OUT, Config, TrainSection
from curate.engine.embedding_reward import FORMAT, Description, describe, features, fold_of, save
from curate.engine.embeddings import Embedder
from curate.errors import CurateError
from curate.identity import content_id
from curate.lake import Lake
from curate.preference_pairs import PreferencePairs, data_digest, read_pairs
from curate.progress import Advance, Track
from curate.records import Evaluation, arrow_schema
from curate.runs import Counts, StageRun, Summary, newest

if TYPE_CHECKING:  # torch comes with these, and done work is recognised without it
    from curate.train.bradley_terry import Fit, Items

Float64 = NDArray[np.float64]
Accuracy = dict[str, dict[str, Estimate]]  # subject → subset → estimate

_PART = "reward-model"


def train(lake: Lake, config: Config, data: Path, *, track: Track) -> Summary:
    section = config.train
    if section is None:
        raise CurateError("curate.yaml has no section `train`: add one to train a reward model.")
    started = time.monotonic()
    folder = config.resolve(section.path)
    embedder = Embedder(_embedder(config, section), cache=config.resolve(config.workspace) / "embeddings")
    fingerprint = content_id(FORMAT, section.digest, embedder.digest, data_digest(data))
    saved = describe(folder)
    if saved and saved.fingerprint == fingerprint == newest(lake, "train", _PART):
        return Summary("train", Counts(), time.monotonic() - started, skipped=True, note=_note(saved))

    run = StageRun(lake, "train", config_hash=section.digest)
    pairs = read_pairs(data)
    _check(pairs, section, data)
    items = _items(pairs, section, embedder, track)
    with track("train", section.epochs) as advance:
        fit = _fit(items, section, advance)
    measured = {
        section.judge or _PART: _out_of_fold(items, fit),
        LENGTH: pairs.lengths.astype(np.float64),
        RANDOM: np.zeros(len(pairs.responses)),
    }
    accuracy = {
        subject: accuracy_by_length(pairs, scores, resamples=section.bootstrap)
        for subject, scores in measured.items()
    }
    description = Description(
        embedder=embedder.name,
        embedder_digest=embedder.digest,
        dimension=items.responses.shape[1],
        hidden=section.hidden,
        folds=section.folds,
        seed=section.seed,
        epochs=fit.epochs,
        fingerprint=fingerprint,
        metrics=_metrics(pairs, fit, accuracy),
    )
    model = save(folder, description, fit.heads, pairs.prompt_ids)
    # After the folder is in place: a process killed in between trains again, to the same bits.
    with run.chunk(_PART, fingerprint=fingerprint, status="done") as (writer, counts):
        writer.delete("evaluations", "benchmark = ?", [HELD_OUT])
        writer.append("evaluations", _rows(accuracy, run.run_id))
        counts.rows_kept = len(pairs)
        counts.dropped = pairs.dropped
        counts.rows_in = counts.rows_kept + counts.rows_dropped
        counts.details = {"model": model.digest, "path": section.path, "epochs": fit.epochs}
    return run.summary(note=_note(description))


def _embedder(config: Config, section: TrainSection) -> str:
    """A relative folder starts at the configuration's folder; anything else is a name."""
    if section.embedder.startswith("pypi:"):
        return section.embedder
    folder = config.resolve(section.embedder)
    return str(folder) if folder.is_dir() else section.embedder


def _check(pairs: PreferencePairs, section: TrainSection, data: Path) -> None:
    if len(pairs) == 0:
        why = ", ".join(f"{rows} × {reason}" for reason, rows in pairs.dropped.items()) or "it has no rows"
        raise CurateError(f"There is no usable preference pair in {data}: {why}.")
    occupied = {fold_of(each, section.folds) for each in pairs.prompt_ids}
    if len(occupied) < section.folds:
        raise CurateError(
            f"{data} has only {len(pairs.prompt_ids)} prompts, too few for {section.folds} cross-fitting folds: "
            "add prompts, or lower train.folds."
        )


def _items(pairs: PreferencePairs, section: TrainSection, embedder: Embedder, track: Track) -> Items:
    from curate.train.bradley_terry import Items

    folds = np.array([fold_of(each, section.folds) for each in pairs.prompt_ids], np.int64)
    return Items(
        prompts=embedder.embed(pairs.questions, track=track),
        responses=embedder.embed(pairs.responses, track=track),
        prompt_of=pairs.prompt_of,
        chosen=pairs.chosen,
        rejected=pairs.rejected,
        p_chosen=pairs.p_chosen,
        weight=pairs.weight,
        fold=folds[pairs.prompt],
        response_fold=folds[pairs.prompt_of],
    )


def _fit(items: Items, section: TrainSection, advance: Advance) -> Fit:
    from curate.train.bradley_terry import Settings, fit

    return fit(
        items, Settings(**{field.name: getattr(section, field.name) for field in fields(Settings)}), advance
    )


def _out_of_fold(items: Items, fit: Fit) -> Float64:
    """float64[R]: the score of each response by the head that has not seen its prompt."""
    scores = np.empty(len(items.responses))
    for fold in np.unique(items.response_fold):
        rows = items.response_fold == fold
        inputs = features(items.prompts[items.prompt_of[rows]], items.responses[rows])
        scores[rows] = fit.heads.score(inputs, int(fold))
    return scores


def _metrics(pairs: PreferencePairs, fit: Fit, accuracy: Accuracy) -> dict[str, Any]:
    return {
        "pairs": len(pairs),
        "prompts": len(pairs.prompt_ids),
        "held_out_loss": fit.held_out_loss[fit.epochs[-1] - 1],
        "held_out_accuracy": {
            _PART if subject not in (LENGTH, RANDOM) else subject: {
                name: asdict(each) for name, each in subsets.items()
            }
            for subject, subsets in accuracy.items()
        },
    }


def _rows(accuracy: Accuracy, run_id: str) -> pa.Table:
    rows = [
        Evaluation(
            subject=subject,
            benchmark=HELD_OUT,
            subset=subset,
            metric="accuracy",
            value=each.value,
            low=each.low,
            high=each.high,
            n=each.n,
            run_id=run_id,
        )
        for subject, subsets in accuracy.items()
        for subset, each in subsets.items()
    ]
    return pa.Table.from_pylist([row.model_dump() for row in rows], schema=arrow_schema(Evaluation))


def _note(description: Description) -> str:
    held_out = description.metrics["held_out_accuracy"]
    model, length = held_out[_PART]["all"], held_out[LENGTH]["all"]
    interval = f" [{model['low']:.3f}, {model['high']:.3f}]" if model["low"] is not None else ""
    return f"held-out accuracy {model['value']:.3f}{interval}, length {length['value']:.3f}"
