"""Training with a `backbone`: a language model is fine-tuned, saved, and measured on held-out prompts."""

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
from curate.data.preference_files import digest_data
from curate.data.preference_pairs import PreferencePairs, read_pairs
from curate.engine.template_turns import describe_left_out
from curate.engine.weights import locate_model
from curate.lake.lake import Lake
from curate.lake.runs import Counts, StageRun, Summary, find_newest_run
from curate.reward.model_folder import NOUN, list_model_files
from curate.reward.trained_prompts import save_trained_prompts
from curate.train.embedded import make_embedder
from curate.train.examples import PromptGroup, PromptGroups, build_groups, is_held_out
from curate.train.fold_models import copy_fold_models, remove_fold_models, train_fold_models
from curate.train.holdout_metrics import (
    DEFAULT_SUBJECT,
    AccuracyTable,
    build_evaluations,
    build_metrics,
    describe_accuracy,
    measure_accuracy,
    require_pairs,
)

if TYPE_CHECKING:  # these import torch, which recognising a finished training does not need
    from torch import Tensor

    from curate.train.checkpoints import TrainingProgress
    from curate.train.load_backbone import LoadedBackbone
    from curate.train.loop import Trainer

FORMAT = "curate-backbone-reward/2"  # 2: it says which prompts it was trained on
DESCRIPTION_FILE = "training.json"


def fine_tune_backbone(
    lake: Lake, config: Config, section: TrainSection, backbone: BackboneSection, data: Path, *, track: Track
) -> Summary:
    """Fine-tune a language model on the pairs in `data`; an interrupted training goes on from its last checkpoint.

    Args:
        lake: Lake that receives the run and the rows of `evaluations`.
        config: Whole configuration, for folders and model names.
        section: Its section `train`.
        backbone: Model, head, loss and schedule: `train.backbone`.
        data: File or folder of preference pairs or rankings.
        track: Makes the progress bars.

    Returns:
        Summary of the run, marked as skipped where the saved model already is the result of these data and settings.

    Raises:
        CurateError: The model cannot be opened, the data have no usable prompt on one side or no label of an aspect, or
            the folder holds something else.
    """
    started = time.monotonic()
    subject = section.judge or DEFAULT_SUBJECT
    weights = locate_model(backbone.model, revision=backbone.revision, folder=config.resolve("."))
    embedder = make_embedder(config, section) if section.noise.judges_labels else None
    label_judge = (embedder.digest,) if embedder else ()
    # Which images may be opened decides which pairs are left out.
    access = (config.images.digest,) if config.images != ImagesSection() else ()
    folds = (f"{backbone.folds} folds",) if backbone.folds else ()
    fingerprint = content_id(
        FORMAT, section.digest, weights.digest, digest_data(data), *label_judge, *access, *folds
    )
    folder = config.resolve(section.path)
    saved = _read_description(folder)
    if saved and saved["fingerprint"] == fingerprint == find_newest_run(lake, "train", subject):
        note = describe_accuracy(saved["metrics"])
        return Summary("train", Counts(), time.monotonic() - started, skipped=True, note=note)

    refuse_foreign(folder, owned=list_model_files, noun=NOUN)  # now, not only after hours of work
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
    left_out_share = rate if section.noise.method == "curriculum" else 0.0

    def load() -> LoadedBackbone:
        return load_backbone(backbone, weights, seed=section.seed, images=config.image_access())

    loaded = load()
    if isinstance(loaded.model, VisionModel):  # a row without images does not use the vision part
        accelerator.ddp_handler = DistributedDataParallelKwargs(find_unused_parameters=True)
    groups = build_groups(
        pairs,
        lambda context, responses, tools: loaded.encoder.encode_responses(
            context, responses, tools=tools, separator=loaded.separator
        ),
        aspects=tuple(backbone.aspects),
    )
    train, held_out = _split_groups(groups, pairs, backbone, data)

    def run_training(
        model: LoadedBackbone,
        prompts: list[PromptGroup],
        checkpoints: Checkpoints,
        log: MetricsLog,
        name: str,
    ) -> tuple[Trainer, TrainingProgress]:
        trainer = Trainer(
            model,
            prompts,
            held_out,
            backbone,
            checkpoints,
            log,
            accelerator,
            seed=section.seed,
            left_out_share=left_out_share,
        )
        with track(name, len(trainer.schedule.steps)) as advance:
            return trainer, trainer.run(advance)

    def train_fold(rest: list[PromptGroup], name: str, target: Path) -> None:
        own_state = state / name.replace(" ", "-")
        fold_model, own_checkpoints = load(), Checkpoints(own_state, main=main)
        log = MetricsLog(own_state, main=main)
        steps = run_training(fold_model, rest, own_checkpoints, log, f"train {name}")[1].best_step
        accelerator.free_memory()
        if not main:
            return
        save_trained_prompts(target, (pairs.prompt_ids[group.prompt] for group in rest))
        about = {"format": FORMAT, "fingerprint": f"{fingerprint} {name}", "steps": steps}
        _save_model(
            fold_model,
            target,
            about | {"settings": backbone.model_dump(mode="json"), "dtype": fold_model.dtype},
        )
        own_checkpoints.remove_files()

    if backbone.folds:
        train_fold_models(train, pairs.prompt_ids, backbone.folds, state, train_fold, main=main)
    checkpoints = Checkpoints(state, main=main)
    trainer, progress = run_training(loaded, train, checkpoints, metrics, "train")
    accuracy, loss, aspects = _measure_model(trainer, pairs, held_out, section)
    if not main:
        return run.summary()
    description: dict[str, Any] = {
        "format": FORMAT,
        "fingerprint": fingerprint,
        "backbone": backbone.model,
        "settings": backbone.model_dump(mode="json"),
        "dtype": loaded.dtype,
        "seed": section.seed,
        "folds": backbone.folds,
        "steps": progress.best_step,
        "tokens": progress.tokens,
        "cut": groups.cut,
        "metrics": build_metrics(pairs, loss, accuracy)
        | {"held_out_prompts": len(held_out)}
        | aspects
        | noise,
    }
    with atomic_directory(folder, owned=list_model_files, noun=NOUN) as new_folder:
        save_trained_prompts(new_folder, (pairs.prompt_ids[group.prompt] for group in train))
        copy_fold_models(state, new_folder, backbone.folds or 0)
        _save_model(loaded, new_folder, description)
    # Commit after the folder is in place: a process killed in between goes on from its checkpoint to the same weights.
    with run.chunk(subject, fingerprint=fingerprint, status="done") as (writer, counts):
        writer.delete("evaluations", read_query("train_held_out"), [HELD_OUT, subject])
        writer.append("evaluations", build_evaluations(accuracy, run.run_id))
        _fill_counts(counts, pairs, groups, section, progress)
    checkpoints.remove_files()
    remove_fold_models(state)
    note = describe_accuracy(description["metrics"])
    if groups.cut:
        note += f"; {groups.cut:,} texts were cut to fit into train.backbone.max_length"
    if left_out := describe_left_out(loaded.encoder.left_out):
        note += f"; {left_out}"
    return run.summary(note=note)


def _split_groups(
    groups: PromptGroups, pairs: PreferencePairs, backbone: BackboneSection, data: Path
) -> tuple[list[PromptGroup], list[PromptGroup]]:
    """Return the prompts to train on, and those held out."""
    train: list[PromptGroup] = []
    held_out: list[PromptGroup] = []
    for group in groups.groups:
        unseen = is_held_out(pairs.prompt_ids[group.prompt], backbone.held_out)
        (held_out if unseen else train).append(group)
    if not train or not held_out:
        dropped = ", ".join(f"{rows} × {reason}" for reason, rows in groups.dropped.items())
        raise CurateError(
            f"Of the {len(groups.groups)} usable prompts in {data}, {len(held_out)} are held out and {len(train)} are "
            f"left to train on{f' (pairs dropped: {dropped})' if dropped else ''}: add prompts, or change "
            "train.backbone.held_out."
        )
    return train, held_out


def _measure_model(
    trainer: Trainer, pairs: PreferencePairs, held_out: list[PromptGroup], section: TrainSection
) -> tuple[AccuracyTable, float, dict[str, Any]]:
    """Return accuracy, mean loss, and accuracy in each aspect on the held-out prompts."""
    from curate.engine.local.reward_head import read_score

    scores, outputs = np.zeros(len(pairs.responses)), trainer.compute_outputs(held_out)
    for group, output in zip(held_out, outputs, strict=True):
        scores[group.members] = read_score(output, trainer.shape).numpy()
    rows = np.isin(pairs.prompt, [group.prompt for group in held_out])
    columns = ("chosen", "rejected", "p_chosen", "weight", "strength")
    held_out_pairs = dataclasses.replace(pairs, **{name: getattr(pairs, name)[rows] for name in columns})
    accuracy = measure_accuracy(
        section.judge or DEFAULT_SUBJECT, held_out_pairs, scores, resamples=section.bootstrap
    )
    loss, _ = trainer.measure_held_out()
    return accuracy, loss, _measure_aspects(trainer.shape.aspects, held_out, outputs)


def _measure_aspects(
    names: Sequence[str], groups: Sequence[PromptGroup], outputs: Sequence[Tensor]
) -> dict[str, Any]:
    """Measure for each aspect which share of its decided labels the aspect's own output agrees with."""
    by_aspect = {}
    margins = [
        output[group.first] - output[group.second] for group, output in zip(groups, outputs, strict=True)
    ]
    for column, name in enumerate(names):
        label = np.concatenate([group.aspects[:, column] for group in groups]) - 0.5
        margin = np.concatenate([group_margins[:, column].numpy() for group_margins in margins])
        decided = np.abs(label) > 0  # False for NaN
        right = 0.5 + 0.5 * np.sign(margin * label)[decided]
        by_aspect[name] = {"value": float(right.mean()) if len(right) else None, "n": len(right)}
    return {"held_out_aspects": by_aspect} if by_aspect else {}


def _save_model(loaded: LoadedBackbone, folder: Path, description: dict[str, Any]) -> None:
    """Save the model and its description, which lists all files: the next training replaces these and no others."""
    from curate.engine.local.loading import silence_loading

    with silence_loading():
        loaded.save(folder)
    written = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    description = description | {"files": sorted({*written, DESCRIPTION_FILE})}
    text = json.dumps(description, indent=2, ensure_ascii=False, sort_keys=True)
    (folder / DESCRIPTION_FILE).write_text(text + "\n", encoding="utf-8")


def _fill_counts(
    counts: Counts,
    pairs: PreferencePairs,
    groups: PromptGroups,
    section: TrainSection,
    progress: TrainingProgress,
) -> None:
    """Fill the counts of the run's chunk."""
    counts.dropped = {
        reason: pairs.dropped.get(reason, 0) + groups.dropped.get(reason, 0)
        for reason in sorted({*pairs.dropped, *groups.dropped})
    }
    counts.rows_kept = sum(len(group.first) for group in groups.groups)
    counts.rows_in = counts.rows_kept + counts.rows_dropped
    counts.tokens_in = progress.tokens
    counts.details = {"path": section.path, "steps": progress.best_step, "cut": groups.cut}


def _read_description(folder: Path) -> dict[str, Any] | None:
    """Return the description of a saved model; None where the folder holds none of this format."""
    try:
        held = json.loads((folder / DESCRIPTION_FILE).read_text(encoding="utf-8"))
        return held if held["format"] == FORMAT else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
