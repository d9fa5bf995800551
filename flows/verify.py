"""The two-stage loop as a Prefect flow: `curate verify loop` runs it in-process, a deployment on a schedule.

A run goes as far as it can without people. Where their answers are wanted it ends, with a state that says how many;
the next run finds what they answered and goes on. Nothing but the lake is needed for that, so runs may be killed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from curate.aggregate import aggregate
from curate.config import Config, load_config
from curate.judge import judge
from curate.lake import Lake
from curate.progress import bars
from curate.runs import Summary
from curate.training import train_on_panel, train_on_people
from curate.verify.consistency import scale_out
from curate.verify.loop import GOLD_MODEL, Standing, ask, gold_config, standing, trained
from curate.verify.pull import pull
from curate.verify.push import push
from flows.curation import run_stage

Work = tuple[str, Callable[[Lake], Summary]]


@dataclass(frozen=True, slots=True)
class LoopRun:
    """What one run of the flow did, and where the loop stands after it."""

    summaries: list[Summary]
    standing: Standing


@flow(name="verification")
def verification(config: str = "curate.yaml") -> State[LoopRun]:
    """Go on with the loop until people are wanted, or it is done."""
    settings = load_config(Path(config))
    trained(settings)  # raises where there is none
    with Lake.open(settings.location) as lake:
        done = [run_stage.with_options(name=name)(lake, work) for name, work in _steps(lake, settings)]
        now = standing(lake, settings)
    name = "WaitingForPeople" if now.waiting else "Completed"
    return Completed(name=name, message=str(now), data=LoopRun(done, now))


def _steps(lake: Lake, settings: Config) -> Iterator[Work]:
    """What is to be done next, as long as it can be done without people."""
    loop, online = settings.verify.loop, settings.verify.loop.through == "label-studio"
    if online:
        yield "pull", lambda lake: pull(lake, settings, track=bars)
    now = standing(lake, settings)
    if not now.waiting:
        yield from _model(settings)
        if len(now.turns) < loop.turns:
            yield "plan", lambda lake: ask(lake, settings, len(now.turns) + 1)
            now = standing(lake, settings)
    if now.waiting:
        if online:
            yield "push", lambda lake: push(lake, settings, track=bars)
        return
    gold = gold_config(settings)  # all turns are over, or nothing is left to ask
    yield "train on people", lambda lake: train_on_people(lake, gold, track=bars)
    yield "judge by people", lambda lake: judge(lake, gold, only=[GOLD_MODEL], track=bars)
    yield "scale out", lambda lake: scale_out(lake, settings)


def _model(settings: Config) -> Iterator[Work]:
    """Labels of the panel and of people, a model of them, and what it says."""
    panel: list[Work] = [
        ("judge", lambda lake: judge(lake, settings, track=bars)),
        ("aggregate", lambda lake: aggregate(lake, settings, track=bars)),
    ]
    yield from panel
    yield "train", lambda lake: train_on_panel(lake, settings, track=bars)
    yield from panel  # the trained model has joined it
