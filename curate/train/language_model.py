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
from curate.config.images import ImagesSection
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
from curate.train.embedded import make_embedder
from curate.train.examples import PromptGroup, PromptGroups, build_groups, is_held_out
from curate.train.holdout_metrics import (
    DEFAULT_SUBJECT,
    AccuracyTable,
    build_evaluations,
    build_metrics,
    describe_accuracy,
    measure_accuracy,
    require_pairs,
)

if TYPE_CHECKING:  # torch comes with these, and done work is recognised without it
    from torch import Tensor

    from curate.train.checkpoints import TrainingProgress
    from curate.train.load_backbone import LoadedBackbone
    from curate.train.loop import Trainer

FORMAT = "curate-backbone-reward/1"
DESCRIPTION_FILE = "training.json"


def fine_tune_backbone(
    lake: Lake, config: Config, section: TrainSection, backbone: BackboneSection, data: Path, *, track: Track
) -> Summary:
    """Fine-tune `backbone` on `data`. A training that was interrupted goes on from its last checkpoint."""
    started = time.monotonic()
    weights = locate_model(backbone.model, revision=backbone.revision, folder=config.resolve("."))
    embedder = make_embedder(config, section) if section.noise.judges_labels else None
    judges = (embedder.digest,) if embedder else ()
    # Which images may be opened decides which pairs are left out.
    allowed = (config.images.digest,) if config.images != ImagesSection() else ()
    fingerprint = content_id(FORMAT, section.digest, weights.digest, digest_data(data), *judges, *allowed)
    folder = config.resolve(section.path)
    saved = _read_description(folder)
    if saved and saved["fingerprint"] == fingerprint == find_newest_run(
        lake, "train", section.judge or DEFAULT_SUBJECT
    ):
        note = describe_accuracy(saved["metrics"])
        return Summary("train", Counts(), time.monotonic() - started, skipped=True, note=note)

    refuse_foreign(folder, owned=list_model_files, noun=NOUN)  # before hours of work, not only after them
    from accelerate import Accelerator, DistributedDataParallelKwargs

    from curate.reward.model import VisionModel
    from curate.train.checkpoints import Checkpoints
    from curate.train.load_backbone import load_backbone
    from curate.train.loop import Trainer
    from curate.train.metrics import MetricsLog

    accelerator = Accelerator()
    main = accelerator.is_main_process
    state = config.resolve(config.workspace) / "training" / fingerprint
    metrics = MetricsLog(state, main=main, tensorboard=backbone.tensorboard)
    run = StageRun(lake, "train", config_hash=section.digest)
    pairs = read_pairs(data)
    require_pairs(pairs, data)
    unlabelled = sorted(set(backbone.aspects) - pairs.aspects.keys())
    if unlabelled:
        raise CurateError(
            f"No row of {data} labels {', '.join(unlabelled)}: label it under `aspects`, or take it out of "
            "train.backbone.aspects."
        )
    rate = section.noise.rate or 0.0
    if embedder is not None:
        from curate.train.label_noise import correct_labels

        pairs, rate = correct_labels(pairs, section, backbone, embedder, source=data, track=track)
    noise = {"noise_rate": round(rate, 4)} if section.noise.method != "none" else {}
    wrong = rate if section.noise.method == "curriculum" else 0.0
    opened = load_backbone(backbone, weights, seed=section.seed, images=config.image_access())
    if isinstance(opened.model, VisionModel):  # a row without images leaves its vision part out
        accelerator.ddp_handler = DistributedDataParallelKwargs(find_unused_parameters=True)
    groups = build_groups(
        pairs,
        lambda context, responses: opened.texts.encode(context, responses, separator=opened.separator),
        aspects=tuple(backbone.aspects),
    )
    seen, unseen = _split_groups(groups, pairs, backbone, data)
    checkpoints = Checkpoints(state, main=main)
    trainer = Trainer(
        opened, seen, unseen, backbone, checkpoints, metrics, accelerator, seed=section.seed, wrong=wrong
    )
    with track("train", len(trainer.schedule.steps)) as advance:
        progress = trainer.run(advance)
    accuracy, loss, aspects = _measure_model(trainer, pairs, unseen, section)
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
        "metrics": build_metrics(pairs, loss, accuracy) | {"held_out_prompts": len(unseen)} | aspects | noise,
    }
    with atomic_directory(folder, owned=list_model_files, noun=NOUN) as made:
        _save_model(opened, made, about)
    # After the folder is in place: a process killed in between goes on from its checkpoint to the same weights.
    with run.chunk(section.judge or DEFAULT_SUBJECT, fingerprint=fingerprint, status="done") as (
        writer,
        counts,
    ):
        writer.delete(
            "evaluations", read_query("train_held_out"), [HELD_OUT, section.judge or DEFAULT_SUBJECT]
        )
        writer.append("evaluations", build_evaluations(accuracy, run.run_id))
        _fill_counts(counts, pairs, groups, section, progress)
    checkpoints.clear()
    return run.summary(note=describe_accuracy(about["metrics"]))


def _split_groups(
    groups: PromptGroups, pairs: PreferencePairs, backbone: BackboneSection, data: Path
) -> tuple[list[PromptGroup], list[PromptGroup]]:
    """Prompts to train on, and those held out."""
    unseen = [each for each in groups.groups if is_held_out(pairs.prompt_ids[each.prompt], backbone.held_out)]
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


def _measure_model(
    trainer: Trainer, pairs: PreferencePairs, unseen: list[PromptGroup], section: TrainSection
) -> tuple[AccuracyTable, float, dict[str, Any]]:
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
    accuracy = measure_accuracy(section.judge or DEFAULT_SUBJECT, part, scores, resamples=section.bootstrap)
    return accuracy, trainer.held_out()[0], _measure_aspects(trainer.shape.aspects, unseen, outputs)


def _measure_aspects(
    names: Sequence[str], groups: Sequence[PromptGroup], outputs: Sequence[Tensor]
) -> dict[str, Any]:
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


def _save_model(opened: LoadedBackbone, folder: Path, about: dict[str, Any]) -> None:
    from curate.engine.local.loading import silence_loading

    with silence_loading():
        opened.save(folder)
    written = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    about = about | {
        "files": sorted({*written, DESCRIPTION_FILE})
    }  # only these are replaced by the next training
    text = json.dumps(about, indent=2, ensure_ascii=False, sort_keys=True)
    (folder / DESCRIPTION_FILE).write_text(text + "\n", encoding="utf-8")


def _fill_counts(
    counts: Counts,
    pairs: PreferencePairs,
    groups: PromptGroups,
    section: TrainSection,
    progress: TrainingProgress,
) -> None:
    counts.dropped = {
        reason: pairs.dropped.get(reason, 0) + groups.dropped.get(reason, 0)
        for reason in sorted({*pairs.dropped, *groups.dropped})
    }
    counts.rows_kept = sum(len(group.first) for group in groups.groups)
    counts.rows_in = counts.rows_kept + counts.rows_dropped
    counts.tokens_in = progress.tokens
    counts.details = {"path": section.path, "steps": progress.best_step, "cut": groups.cut}


def _read_description(folder: Path) -> dict[str, Any] | None:
    """What a saved model says of itself; None where there is none of this format."""
    try:
        held = json.loads((folder / DESCRIPTION_FILE).read_text(encoding="utf-8"))
        return held if held["format"] == FORMAT else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
