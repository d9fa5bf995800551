"""The stage `train` with a `backbone`: read, encode, fine-tune, save, and say how good it is on held-out prompts."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from curate.config.evaluate import HELD_OUT
from curate.config.project import Config
from curate.config.train import BackboneSection, TrainSection
from curate.core.atomic import atomic_directory, refuse_foreign
from curate.core.errors import CurateError
from curate.core.identity import content_id
from curate.core.progress import Track
from curate.core.resources import read_query
from curate.data.preference_rows import PreferencePairs, digest_data, read_pairs
from curate.engine.weights import locate_model
from curate.lake.lake import Lake
from curate.lake.runs import Counts, StageRun, Summary, find_newest_run
from curate.reward.model_folder import NOUN, list_model_files
from curate.train.embedded import embedder_of
from curate.train.examples import Group, Groups, build_groups, held_out
from curate.train.holdout_metrics import (
    PART,
    Accuracy,
    evaluation_rows,
    held_out_note,
    measured,
    metrics_of,
    usable,
)

if TYPE_CHECKING:  # torch comes with these, and done work is recognised without it
    from torch import Tensor

    from curate.train.checkpoints import Progress
    from curate.train.load_backbone import Opened
    from curate.train.loop import Trainer

FORMAT = "curate-backbone-reward/1"
_ABOUT = "training.json"


def train_backbone(
    lake: Lake, config: Config, section: TrainSection, backbone: BackboneSection, data: Path, *, track: Track
) -> Summary:
    """Fine-tune `backbone` on `data`. A training that was interrupted goes on from its last checkpoint."""
    started = time.monotonic()
    weights = locate_model(backbone.model, revision=backbone.revision, folder=config.resolve("."))
    embedder = embedder_of(config, section) if section.noise.judges_labels else None
    judges = (embedder.digest,) if embedder else ()
    fingerprint = content_id(FORMAT, section.digest, weights.digest, digest_data(data), *judges)
    folder = config.resolve(section.path)
    saved = _about(folder)
    if saved and saved["fingerprint"] == fingerprint == find_newest_run(lake, "train", section.judge or PART):
        note = held_out_note(saved["metrics"])
        return Summary("train", Counts(), time.monotonic() - started, skipped=True, note=note)

    refuse_foreign(folder, owned=list_model_files, noun=NOUN)  # before hours of work, not only after them
    from accelerate import Accelerator, DistributedDataParallelKwargs

    from curate.reward.model import VisionModel
    from curate.train.checkpoints import Checkpoints
    from curate.train.load_backbone import open_backbone
    from curate.train.loop import Trainer
    from curate.train.metrics import Metrics

    accelerator = Accelerator()
    main = accelerator.is_main_process
    state = config.resolve(config.workspace) / "training" / fingerprint
    metrics = Metrics(state, main=main, tensorboard=backbone.tensorboard)
    run = StageRun(lake, "train", config_hash=section.digest)
    pairs = read_pairs(data)
    usable(pairs, data)
    unlabelled = sorted(set(backbone.aspects) - pairs.aspects.keys())
    if unlabelled:
        raise CurateError(
            f"No row of {data} labels {', '.join(unlabelled)}: label it under `aspects`, or take it out of "
            "train.backbone.aspects."
        )
    rate = section.noise.rate or 0.0
    if embedder is not None:
        from curate.train.label_noise import with_remedy

        pairs, rate = with_remedy(pairs, section, backbone, embedder, source=data, track=track)
    noise = {"noise_rate": round(rate, 4)} if section.noise.method != "none" else {}
    wrong = rate if section.noise.method == "curriculum" else 0.0
    opened = open_backbone(backbone, weights, seed=section.seed, folder=config.resolve("."))
    if isinstance(opened.model, VisionModel):  # a row without images leaves its vision part out
        accelerator.ddp_handler = DistributedDataParallelKwargs(find_unused_parameters=True)
    groups = build_groups(
        pairs,
        lambda context, responses: opened.texts.encode(context, responses, separator=opened.separator),
        aspects=tuple(backbone.aspects),
    )
    seen, unseen = _sides(groups, pairs, backbone, data)
    checkpoints = Checkpoints(state, main=main)
    trainer = Trainer(
        opened, seen, unseen, backbone, checkpoints, metrics, accelerator, seed=section.seed, wrong=wrong
    )
    with track("train", len(trainer.schedule.steps)) as advance:
        progress = trainer.run(advance)
    accuracy, loss, aspects = _measured(trainer, pairs, unseen, section)
    if not main:
        return run.summary()
    about: dict[str, Any] = {
        "format": FORMAT,
        "fingerprint": fingerprint,
        "backbone": backbone.model,
        "settings": backbone.model_dump(mode="json"),
        "dtype": opened.dtype,
        "seed": section.seed,
        "steps": progress.best_step,
        "tokens": progress.tokens,
        "cut": groups.cut,
        "metrics": metrics_of(pairs, loss, accuracy) | {"held_out_prompts": len(unseen)} | aspects | noise,
    }
    with atomic_directory(folder, owned=list_model_files, noun=NOUN) as made:
        _save(opened, made, about)
    # After the folder is in place: a process killed in between goes on from its checkpoint to the same weights.
    with run.chunk(section.judge or PART, fingerprint=fingerprint, status="done") as (writer, counts):
        writer.delete("evaluations", read_query("train_held_out"), [HELD_OUT, section.judge or PART])
        writer.append("evaluations", evaluation_rows(accuracy, run.run_id))
        _count(counts, pairs, groups, section, progress)
    checkpoints.clear()
    return run.summary(note=held_out_note(about["metrics"]))


def _sides(
    groups: Groups, pairs: PreferencePairs, backbone: BackboneSection, data: Path
) -> tuple[list[Group], list[Group]]:
    """Prompts to train on, and those held out."""
    unseen = [each for each in groups.groups if held_out(pairs.prompt_ids[each.prompt], backbone.held_out)]
    kept = {each.prompt for each in unseen}
    seen = [each for each in groups.groups if each.prompt not in kept]
    if not seen or not unseen:
        lost = ", ".join(f"{rows} × {reason}" for reason, rows in groups.dropped.items())
        raise CurateError(
            f"Of the {len(groups.groups)} usable prompts in {data}, {len(unseen)} are held out and {len(seen)} are "
            f"left to train on{f' (pairs dropped: {lost})' if lost else ''}: add prompts, or change "
            "train.backbone.held_out."
        )
    return seen, unseen


def _measured(
    trainer: Trainer, pairs: PreferencePairs, unseen: list[Group], section: TrainSection
) -> tuple[Accuracy, float, dict[str, Any]]:
    """On held-out prompts: accuracy and loss, and the accuracy in each aspect."""
    from curate.engine.local.reward_head import read_score

    scores, outputs = np.zeros(len(pairs.responses)), trainer.outputs(unseen)
    for group, found in zip(unseen, outputs, strict=True):
        scores[group.members] = read_score(found, trainer.shape).numpy()
    mine = np.isin(pairs.prompt, [group.prompt for group in unseen])
    sides = {
        name: getattr(pairs, name)[mine] for name in ("chosen", "rejected", "p_chosen", "weight", "strength")
    }
    part = dataclasses.replace(pairs, **sides)
    accuracy = measured(section.judge or PART, part, scores, resamples=section.bootstrap)
    return accuracy, trainer.held_out()[0], _aspects(trainer.shape.aspects, unseen, outputs)


def _aspects(names: Sequence[str], groups: Sequence[Group], outputs: Sequence[Tensor]) -> dict[str, Any]:
    """The share of decided labels of each aspect that its own output agrees with, and how many there are."""
    found = {}
    margins = [each[group.first] - each[group.second] for group, each in zip(groups, outputs, strict=True)]
    for at, name in enumerate(names):
        label = np.concatenate([group.aspects[:, at] for group in groups]) - 0.5
        margin = np.concatenate([each[:, at].numpy() for each in margins])
        decided = np.abs(label) > 0  # not a number is not greater
        right = 0.5 + 0.5 * np.sign(margin * label)[decided]
        found[name] = {"value": float(right.mean()) if len(right) else None, "n": len(right)}
    return {"held_out_aspects": found} if found else {}


def _save(opened: Opened, folder: Path, about: dict[str, Any]) -> None:
    from curate.engine.local.loading import silence_loading

    with silence_loading():
        opened.save(folder)
    written = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    about = about | {"files": sorted({*written, _ABOUT})}  # only these are replaced by the next training
    text = json.dumps(about, indent=2, ensure_ascii=False, sort_keys=True)
    (folder / _ABOUT).write_text(text + "\n", encoding="utf-8")


def _count(
    counts: Counts, pairs: PreferencePairs, groups: Groups, section: TrainSection, progress: Progress
) -> None:
    counts.dropped = {
        reason: pairs.dropped.get(reason, 0) + groups.dropped.get(reason, 0)
        for reason in sorted({*pairs.dropped, *groups.dropped})
    }
    counts.rows_kept = sum(len(group.first) for group in groups.groups)
    counts.rows_in = counts.rows_kept + counts.rows_dropped
    counts.tokens_in = progress.tokens
    counts.details = {"path": section.path, "steps": progress.best_step, "cut": groups.cut}


def _about(folder: Path) -> dict[str, Any] | None:
    """What a saved model says of itself; None where there is none of this format."""
    try:
        held = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
        return held if held["format"] == FORMAT else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
