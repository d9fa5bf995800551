"""Training without a backbone: small heads on frozen sentence embeddings, cross-fitted, with held-out accuracy."""

from __future__ import annotations

import time
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from curate.config.evaluate import HELD_OUT
from curate.config.project import Config
from curate.config.train import TrainSection
from curate.core.atomic import refuse_foreign
from curate.core.identity import content_id
from curate.core.progress import Advance, Track
from curate.core.resources import read_query
from curate.data.preference_files import digest_data
from curate.data.preference_pairs import read_pairs
from curate.lake.lake import Lake
from curate.lake.runs import Counts, StageRun, Summary, find_newest_run
from curate.reward.embedding_reward import (
    FORMAT,
    EmbeddingRewardConfig,
    read_description,
    save_embedding_reward,
)
from curate.reward.model_folder import NOUN, list_model_files
from curate.train.embedded import embed_pairs, make_embedder, score_out_of_fold
from curate.train.holdout_metrics import (
    DEFAULT_SUBJECT,
    build_evaluations,
    build_metrics,
    describe_accuracy,
    measure_accuracy,
    require_pairs,
)

if TYPE_CHECKING:  # torch comes with these, and done work is recognised without it
    from curate.train.bradley_terry import EmbeddedPairs, HeadFit


def fit_embedding_reward(
    lake: Lake, config: Config, section: TrainSection, data: Path, *, track: Track
) -> Summary:
    """Fit heads on the sentence embeddings of the pairs in `data`, save them, and record their held-out accuracy.

    Args:
        lake: Lake that receives the run and the rows of `evaluations`.
        config: Whole configuration, for folders and model names.
        section: Its section `train`.
        data: File or folder of preference pairs.
        track: Makes the progress bars.

    Returns:
        Summary of the run, marked as skipped where the saved model already is the result of these data and settings.

    Raises:
        CurateError: The data have no usable pair or too few prompts, or the folder holds something else.
    """
    started = time.monotonic()
    subject = section.judge or DEFAULT_SUBJECT
    folder = config.resolve(section.path)
    embedder = make_embedder(config, section)
    fingerprint = content_id(FORMAT, section.digest, embedder.digest, digest_data(data))
    saved = read_description(folder)
    if saved and saved.fingerprint == fingerprint == find_newest_run(lake, "train", subject):
        note = describe_accuracy(saved.metrics)
        return Summary("train", Counts(), time.monotonic() - started, skipped=True, note=note)

    refuse_foreign(folder, owned=list_model_files, noun=NOUN)  # now, not only after the work
    run = StageRun(lake, "train", config_hash=section.digest)
    pairs = read_pairs(data)
    require_pairs(pairs, data)
    embedded = embed_pairs(pairs, section, embedder, source=data, track=track)
    with track("train", _count_progress_steps(section)) as advance:
        fit, noise_rates = _fit_heads(embedded, section, advance)
    scores = score_out_of_fold(embedded, fit.heads)
    accuracy = measure_accuracy(subject, pairs, scores, resamples=section.bootstrap)
    loss = fit.held_out_loss[fit.epochs[-1] - 1]
    description = EmbeddingRewardConfig(
        embedder=embedder.name,
        embedder_digest=embedder.digest,
        dimension=embedded.responses.shape[1],
        hidden=fit.heads.w1.shape[2] // section.members,
        folds=section.folds,
        seed=section.seed,
        epochs=fit.epochs,
        fingerprint=fingerprint,
        metrics=build_metrics(pairs, loss, accuracy) | _describe_noise(noise_rates),
        members=section.members,
        combine=section.combine,
        long_texts=embedder.long_texts,
    )
    model = save_embedding_reward(folder, description, fit.heads, pairs.prompt_ids)
    # Commit after the folder is in place: a process killed in between trains again, to the same bits.
    with run.chunk(subject, fingerprint=fingerprint, status="done") as (writer, counts):
        writer.delete("evaluations", read_query("train_held_out"), [HELD_OUT, subject])
        writer.append("evaluations", build_evaluations(accuracy, run.run_id))
        counts.rows_kept = len(pairs)
        counts.dropped = pairs.dropped
        counts.rows_in = counts.rows_kept + counts.rows_dropped
        counts.details = {"model": model.digest, "path": section.path, "epochs": fit.epochs}
    return run.summary(note=describe_accuracy(description.metrics))


def _count_progress_steps(section: TrainSection) -> int:
    """Return the length of the progress bar: folds solved, or epochs trained."""
    if section.head == "linear":
        return section.folds + 1
    return section.epochs * (2 if section.noise.judges_labels else 1)


def _fit_heads(
    embedded: EmbeddedPairs, section: TrainSection, advance: Advance
) -> tuple[HeadFit, list[float]]:
    """Fit the heads that `section` asks for.

    Returns:
        The fitted heads, and the shares of labels that are taken as wrong: for `flip`, `drop` and `soften` one a head,
        the last from all labels; for other remedies one; without a remedy none.
    """
    from curate.train.bradley_terry import HeadSettings, SmallLossSelection, fit_mlp_heads
    from curate.train.linear import fit_linear_heads
    from curate.train.noise import cross_fit_margins, estimate_rate, relabel_for_heads

    if section.head == "linear":
        return fit_linear_heads(embedded, section.folds, advance), []
    settings = HeadSettings(**{field.name: getattr(section, field.name) for field in fields(HeadSettings)})
    method, rate, combine = section.noise.method, section.noise.rate, section.combine
    if method == "none":
        return fit_mlp_heads(embedded, settings, advance, combine=combine), []
    if method in ("flip", "drop", "soften"):
        margins = cross_fit_margins(embedded, settings, advance)
        labels, noises = relabel_for_heads(embedded, margins, method, rate=rate)
        fit = fit_mlp_heads(embedded, settings, advance, labels=labels, combine=combine)
        return fit, [noise.rate for noise in noises]
    if rate is None:
        rate = estimate_rate(embedded, cross_fit_margins(embedded, settings, advance))
    selection = SmallLossSelection(1.0 - rate, peer=method == "co-teaching")
    return fit_mlp_heads(embedded, settings, advance, selection=selection, combine=combine), [rate]


def _describe_noise(rates: list[float]) -> dict[str, float]:
    return {"noise_rate": round(rates[-1], 4)} if rates else {}
