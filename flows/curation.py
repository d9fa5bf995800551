"""The whole chain as a Prefect flow: `curate run` runs it in-process, a deployment runs it on a schedule.

Every stage finds out by itself what is left to do, so a flow run that was killed is simply run again.
Tasks are stages, and for judging chunks of prompts: a task costs tens of milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from curate.aggregate import aggregate
from curate.config import Config, load_config
from curate.evaluation import evaluate
from curate.exporting import export
from curate.ingest import ingest
from curate.judge import answer_chunk, judge
from curate.lake import Lake
from curate.progress import bars
from curate.report import report
from curate.runs import Summary
from curate.training import train_on_panel


@task(cache_policy=NO_CACHE)
def run_stage(lake: Lake, work: Callable[[Lake], Summary]) -> Summary:
    """One stage. Tasks that are called, not submitted, run in the flow's own thread, so they share its lake."""
    return work(lake)


ask_chunk = task(name="judge chunk", cache_policy=NO_CACHE)(answer_chunk)


@flow(name="curation")
def curation(config: str = "curate.yaml") -> list[Summary]:
    """Ingest → judge → aggregate → train → judge with the trained model → aggregate → export → evaluate → report."""
    settings = load_config(Path(config))
    with Lake.open(settings.location) as lake:
        return _stages(lake, settings)


def _stages(lake: Lake, settings: Config) -> list[Summary]:
    def stage(name: str, work: Callable[[Lake], Summary]) -> Summary:
        return run_stage.with_options(name=name)(lake, work)

    def turn() -> list[Summary]:
        return [
            stage("judge", lambda lake: judge(lake, settings, track=bars, ask_chunk=ask_chunk)),
            stage("aggregate", lambda lake: aggregate(lake, settings, track=bars)),
        ]

    done = [stage("ingest", lambda lake: ingest(lake, settings, track=bars)), *turn()]
    if settings.train is not None:
        done.append(stage("train", lambda lake: train_on_panel(lake, settings, track=bars)))
        if settings.train.judge is not None:
            done += turn()  # the loop's second turn: the trained model has joined the panel
    done.append(stage("export", lambda lake: export(lake, settings, track=bars)))
    done.append(stage("evaluate", lambda lake: evaluate(lake, settings, track=bars)))
    done.append(stage("report", lambda lake: report(lake, settings, track=bars)))
    return done
