"""The whole chain of stages, from responses to a report: `curate run` calls it, and `flows/curation.py` wraps it.

Every stage finds the work that is left by itself, so a run that was killed is simply started again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from curate.aggregate import aggregate_judgments
from curate.config.project import Config
from curate.core.extras import MissingExtraError
from curate.core.progress import Track, no_progress
from curate.core.tracing import trace_span
from curate.filter import filter_items, has_decisions, reads_judgments
from curate.ingest import ingest_sources, refuse_wasted_inputs
from curate.judge import answer_chunk, judge_responses
from curate.judge.stage import AskChunk
from curate.lake.lake import Lake
from curate.lake.lost_catalog import repeat_when_lost
from curate.lake.runs import Counts, Summary
from curate.pipeline.evaluate import evaluate_project
from curate.pipeline.export import export_labels
from curate.pipeline.train import train_on_panel
from curate.report import write_report_if_stale
from curate.train import check_packages

StageWork = Callable[[Lake], Summary]


class CallStage(Protocol):
    """A function that calls one stage of the chain; an orchestrator passes its own, to make a task of each stage."""

    def __call__(self, name: str, work: StageWork, lake: Lake, /) -> Summary: ...


def call_stage(name: str, work: StageWork, lake: Lake) -> Summary:
    """Do the work of the stage `name` here and now; it goes on where it was, if a PostgreSQL catalog was restarted."""
    with trace_span(f"stage {name}", {"curate.stage": name}):
        return repeat_when_lost(lambda: work(lake))


def run_curation(
    lake: Lake,
    config: Config,
    *,
    track: Track = no_progress,
    call_stage: CallStage = call_stage,
    ask_chunk: AskChunk = answer_chunk,
) -> list[Summary]:
    """Run all stages: ingest, filter, judge, aggregate, train, judge and aggregate again, export, evaluate, report.

    Args:
        lake: The project's lake, open for writing.
        config: The project. Its `train` section decides whether a model is trained and joins the panel.
        track: Shows how far each stage is.
        call_stage: Called for each stage with its name, its work and the lake.
        ask_chunk: Called for each chunk of questions, in place of `curate.judge.answer_chunk`.

    Returns:
        What each stage did, in the order above.
    """
    if config.train is not None:
        check_packages()  # before the panel has worked for hours

    def run_stage(name: str, work: StageWork) -> Summary:
        return call_stage(name, work, lake)

    def run_panel() -> list[Summary]:
        return [
            run_stage("judge", lambda lake: judge_responses(lake, config, track=track, ask_chunk=ask_chunk)),
            run_stage("aggregate", lambda lake: aggregate_judgments(lake, config, track=track)),
        ]

    summaries = [run_stage("ingest", lambda lake: _take_in(lake, config, track))]
    if config.filter or has_decisions(lake):
        summaries.append(run_stage("filter", lambda lake: filter_items(lake, config, track=track)))
    summaries += run_panel()
    if config.train is not None:
        summaries.append(run_stage("train", lambda lake: train_on_panel(lake, config, track=track)))
        if config.train.judge is not None:
            summaries += run_panel()  # the trained model has joined the panel
    if reads_judgments(config):
        summaries.append(run_stage("filter", lambda lake: filter_items(lake, config, track=track)))
    return [
        *summaries,
        run_stage("export", lambda lake: export_labels(lake, config, track=track)),
        run_stage("evaluate", lambda lake: evaluate_project(lake, config, track=track)),
        run_stage("report", lambda lake: write_report_if_installed(lake, config, track=track)),
    ]


def _take_in(lake: Lake, config: Config, track: Track) -> Summary:
    summary = ingest_sources(lake, config, track=track)
    refuse_wasted_inputs(lake, config.ingest, config)
    return summary


def write_report_if_installed(lake: Lake, config: Config, *, track: Track = no_progress) -> Summary:
    """Write the report; if its packages are not installed, say so in the summary and end the run normally."""
    try:
        return write_report_if_stale(lake, config, track=track)
    except MissingExtraError as error:
        return Summary("report", Counts(), 0.0, skipped=True, note=str(error))
