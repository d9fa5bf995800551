"""The two-stage loop of `verify` across the stages: `curate verify loop` calls it, and `flows/verify.py` wraps it.

A run goes as far as it can without people. Where their answers are wanted it ends, and says how many; the next run
reads what they answered and goes on. Nothing but the lake is needed for that, so runs may be killed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from curate.aggregate import aggregate_judgments
from curate.config.project import Config
from curate.core.progress import Track, no_progress
from curate.judge import judge_responses
from curate.lake.lake import Lake
from curate.lake.runs import Summary
from curate.pipeline.curation import CallStage, StageWork, call_stage
from curate.pipeline.train import train_on_panel, train_on_people
from curate.train import check_packages
from curate.verify.consistency import scale_out_labels
from curate.verify.loop import (
    GOLD_MODEL,
    LoopState,
    build_gold_config,
    plan_turn,
    read_loop_state,
    require_training,
)
from curate.verify.pull import pull_answers
from curate.verify.push import push_tasks

Step = tuple[str, StageWork]


@dataclass(frozen=True, slots=True)
class LoopRun:
    """Summaries of the steps of one run of the loop, and the state of the loop after it."""

    summaries: list[Summary]
    state: LoopState


def run_verification_loop(
    lake: Lake, config: Config, *, track: Track = no_progress, call_stage: CallStage = call_stage
) -> LoopRun:
    """Go on with the loop until people are wanted, or it is done.

    Args:
        lake: The project's lake, open for writing.
        config: The project; it needs a `train` section whose model judges.
        track: Shows how far each step is.
        call_stage: Called for each step with its name, its work and the lake.

    Raises:
        CurateError: If `config` trains no model that judges, or what training needs is not installed.
    """
    require_training(config)
    check_packages()  # before the panel has worked for hours
    summaries = [call_stage(name, work, lake) for name, work in iterate_steps(lake, config, track=track)]
    return LoopRun(summaries, read_loop_state(lake, config))


def iterate_steps(lake: Lake, config: Config, *, track: Track = no_progress) -> Iterator[Step]:
    """Yield what is to be done next, as long as it can be done without people."""
    loop, online = config.verify.loop, config.verify.loop.through == "label-studio"
    if online:
        yield "pull", lambda lake: pull_answers(lake, config, track=track)
    now = read_loop_state(lake, config)
    if not now.waiting:
        yield from _iterate_model_steps(config, track)
        if len(now.turns) < loop.turns:
            yield "plan", lambda lake: plan_turn(lake, config, len(now.turns) + 1)
            now = read_loop_state(lake, config)
    if now.waiting:
        if online:
            yield "push", lambda lake: push_tasks(lake, config, track=track)
        return
    gold = build_gold_config(config)  # all turns are over, or nothing is left to ask
    yield "train on people", lambda lake: train_on_people(lake, gold, track=track)
    yield "judge by people", lambda lake: judge_responses(lake, gold, only=[GOLD_MODEL], track=track)
    yield "scale out", lambda lake: scale_out_labels(lake, config)


def _iterate_model_steps(config: Config, track: Track) -> Iterator[Step]:
    """Yield the steps that label with the panel and people, train a model on that, and let it judge."""
    panel: list[Step] = [
        ("judge", lambda lake: judge_responses(lake, config, track=track)),
        ("aggregate", lambda lake: aggregate_judgments(lake, config, track=track)),
    ]
    yield from panel
    yield "train", lambda lake: train_on_panel(lake, config, track=track)
    yield from panel  # the trained model has joined it
