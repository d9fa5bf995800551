"""The stage: judgments of the lake → preferences, rankings, dropped arcs, annotators and guarantees, per label set."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from curate.aggregate.adversarial import drop_fooled_judges
from curate.aggregate.annotators import OpenedModel, open_annotator_model
from curate.aggregate.aspects import aggregate_aspects
from curate.aggregate.final_set import choose_final_set
from curate.config.project import Config
from curate.core.identity import content_id
from curate.core.progress import Track, no_progress
from curate.core.resources import read_query
from curate.lake.lake import Lake
from curate.lake.runs import StageRun, Summary, find_newest_run
from curate.lake.writer import Writer
from curate.records import Assessment, arrow_schema
from curate.runner import open_runner

if TYPE_CHECKING:
    from curate.aggregate.pipeline import Aggregation

VERSION = 8  # raised when the same judgments would give other results, so that they are computed again
STAGE = "aggregate"
BY_PROMPT = ("preferences", "rankings", "dropped_arcs", "graphs")
WHOLE = ("annotators", "guarantees", "assessments")


def aggregate_judgments(lake: Lake, config: Config, *, track: Track = no_progress) -> Summary:
    """Aggregate the panel as configured (iteration 0), and with the trained reward model (1) once it has judged.

    The aspects of `aggregate.aspects` get labels of their own. An iteration whose settings, panel and judgments have
    not changed is left as it is.

    Raises:
        CurateError: The configured annotator model cannot be opened, or judgments are not valid votes.
    """
    model = _open_model(config)
    run = StageRun(lake, STAGE, config_hash=config.aggregate.digest)
    panels = list(_list_panels(lake, config))
    # Of delta: each label set makes promises of its own. The set with the model has its share before the model judges,
    # so that the promises of the first one do not change then.
    has_model = config.train is not None and config.train.judge is not None
    share = 0.5 if has_model else 1.0
    with track("aggregate", len(panels)) as advance:
        written = []
        for iteration, panel in panels:
            written.append(_aggregate_panel(lake, config, model, run, iteration, panel, share))
            advance(1)
    if any(written):
        _drop_later(run, panels[-1][0])
    notes = list(aggregate_aspects(run, config, model, panels[0][1]))
    is_marked = bool(lake.value("SELECT count(*) FROM assessments WHERE is_final"))
    if (any(written) and (has_model or is_marked)) or (
        has_model and not is_marked
    ):  # or a run was killed before
        written.append(_mark_final_set(run, panels[-1][0]))
    written += notes
    return run.summary(skipped=not any(written), note="\n".join(note for note in written if note))


def _mark_final_set(run: StageRun, last: int) -> str:
    """Mark the label set that exports take, and say which and why where there are two."""
    final = choose_final_set(run.lake, last)
    with run.lake.write(run.run_id) as writer:
        rows = run.lake.arrow("SELECT * FROM assessments").to_pylist()
        for row in rows:
            is_final = row["iteration"] == final.iteration
            row |= {"is_final": is_final, "final_reason": final.reason if is_final else None}
        writer.delete("assessments", "true", [])
        writer.append("assessments", pa.Table.from_pylist(rows, arrow_schema(Assessment)))
    return f"final labels: iteration-{final.iteration}, {final.reason}." if last else ""


def _drop_later(run: StageRun, last: int) -> None:
    """Delete later label sets: the loop of `verify` derived them from labels that have just been recomputed."""
    later = ("iteration > ?", [last])
    if run.lake.value(f"SELECT count(*) FROM preferences WHERE {later[0]}", later[1]):
        with run.lake.write(run.run_id) as writer:
            for table in BY_PROMPT:
                writer.delete(table, *later)


def _open_model(config: Config) -> OpenedModel | None:
    """Open the configured annotator model before any work; None for `auto`, which the votes decide."""
    section = config.aggregate
    if section.annotator_model == "auto":
        return None
    return open_annotator_model(
        section.annotator_model_name, section.annotator_model_options, folder=config.resolve(".")
    )


def _list_panels(lake: Lake, config: Config) -> list[tuple[int, pa.Table]]:
    """List the panel of each iteration, as rows of (annotator_id, revision)."""
    judges = [str(judge["name"]) for judge in config.judge.judges]
    panels = [(0, lake.arrow(read_query("current_panel"), [judges]))]
    if config.train is not None and config.train.judge is not None:
        grown = lake.arrow(read_query("current_panel"), [[*judges, config.train.judge]])
        if config.train.judge in grown["annotator_id"].to_pylist():
            panels.append((1, grown))
    return panels


def _aggregate_panel(
    lake: Lake,
    config: Config,
    model: OpenedModel | None,
    run: StageRun,
    iteration: int,
    panel: pa.Table,
    share: float,
) -> str:
    """Aggregate one iteration unless that has been done; return a line for the user, empty if nothing was done."""
    part = f"iteration-{iteration}"
    panel, fooled = drop_fooled_judges(lake, panel, config.aggregate.guard)
    lake.rows("DROP TABLE IF EXISTS temp.panel")  # what `select_panel` leaves on a connection
    with lake.bind("panel", panel):
        lake.rows(read_query("current_judgments"))
        lake.rows(read_query("aggregate_spoken"))
        judged = lake.frame(read_query("aggregate_annotators"))
        asked = lake.digest("verify_tasks", "task_id", "strategy = 'random'")
        settings = content_id(config.aggregate.model_dump(mode="json", exclude={"aspects"}))
        code = [model.code] if model is not None and model.code else []  # a user's own file may change
        fingerprint = content_id(VERSION, settings, panel.to_pylist(), judged.to_dicts(), asked, share, *code)
        if find_newest_run(lake, STAGE, part) == fingerprint:
            return ""
        from curate.aggregate.pipeline import aggregate_panel  # numba, which takes a second to import
        from curate.aggregate.shards import shard_work

        with open_runner(config) as runner, shard_work(runner):
            result = aggregate_panel(
                lake,
                config.aggregate,
                judged,
                iteration=iteration,
                run_id=run.run_id,
                share=share,
                model=model,
                joined=config.train.judge if iteration and config.train is not None else None,
            )
    result.counts.details["settings"] = config.aggregate.model_dump(mode="json", exclude_defaults=True)
    _write_rows(run, part, fingerprint, iteration, result)
    return "; ".join(filter(None, [f"{part}: {result.note}", fooled]))


def _write_rows(run: StageRun, part: str, fingerprint: str, iteration: int, result: Aggregation) -> None:
    """Write the rows; prompts whose rows have not changed keep them, so a few new judgments rewrite a few prompts."""
    with run.chunk(part, fingerprint=fingerprint, status="done") as (writer, counts):
        of_iteration = ("iteration = ?", [iteration])
        counts.add(result.counts)
        counts.details["rewritten_prompts"] = {
            table: writer.replace(table, result.tables[table], "prompt_id", *of_iteration)
            for table in BY_PROMPT
        }
        for table in WHOLE:
            writer.delete(table, *of_iteration)
            writer.append(table, result.tables[table])
        _write_memory(writer, iteration, result)


def _write_memory(writer: Writer, iteration: int, result: Aggregation) -> None:
    """Write the revision under test; what tested earlier ones stays, and labels are written when their test begins."""
    for row in result.tables["guarantee_tests"].to_pylist():
        current = [iteration, row["revision"]]
        writer.delete("guarantee_tests", "iteration = ? AND revision = ?", current)
        writer.delete("label_uses", "iteration = ? AND (use = 'learn' OR revision = ?)", current)
        writer.append("guarantee_tests", result.tables["guarantee_tests"])
        writer.append("label_uses", result.tables["label_uses"])
        if row["looks"] == 1:
            writer.delete("tested_labels", "iteration = ?", [iteration])
            writer.add("tested_labels", result.tables["tested_labels"])
