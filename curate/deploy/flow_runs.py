"""The inside of every flow: open the project, do its stages as tasks, and show on Prefect's pages what they did.

    with open_project("curate.yaml", "judge") as project:
        project.do_stage("judge", lambda lake: judge_responses(lake, project.config, ask_chunk=project.ask_chunk))

A flow run that was killed is simply run again: every stage finds out by itself what is left to do.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from prefect import get_run_logger
from pydantic import BaseModel

from curate.config.project import Config, change_sections, load_config
from curate.core.log_scrubbing import install_log_scrubber, scrub_errors
from curate.deploy.run_artifacts import publish_run
from curate.deploy.section_changes import list_changes
from curate.deploy.stage_tasks import StageTasks
from curate.judge.stage import AskChunk
from curate.lake.lake import Lake
from curate.lake.runs import Summary
from curate.pipeline.curation import StageWork

install_log_scrubber()  # a worker imports the flows, not the command line


@dataclass(slots=True)
class ProjectRun:
    """A project that a flow run works on. `summaries`: what its stages have done so far."""

    config: Config
    lake: Lake
    tasks: StageTasks
    summaries: list[Summary] = field(default_factory=list)

    @property
    def ask_chunk(self) -> AskChunk:
        return self.tasks.ask_chunk

    def call_stage(self, name: str, work: StageWork, lake: Lake, /) -> Summary:
        """Do the work of a stage as a task, and write a line about it into the run's log."""
        summary = self.tasks.call_stage(name, work, lake)
        self.summaries.append(summary)
        counts = summary.counts
        done = "nothing to do" if summary.skipped else f"in {counts.rows_in:,}, kept {counts.rows_kept:,}"
        get_run_logger().info(f"{name}: {done}, {summary.seconds:.1f} s. {summary.note}".strip())
        return summary

    def do_stage(self, name: str, work: StageWork) -> list[Summary]:
        """Do one stage, and return its summary alone in a list."""
        return [self.call_stage(name, work, self.lake)]


@contextlib.contextmanager
def open_project(
    path: str,
    flow: str,
    changes: Mapping[str, BaseModel | None] | None = None,
    *,
    is_published: bool = True,
) -> Iterator[ProjectRun]:
    """Yield the project of a curate.yaml for a flow run; publish what its stages did, also after a failure.

    Args:
        path: Path of curate.yaml.
        flow: Name of the flow.
        changes: By section, the options that this run changes.
        is_published: Publish a table of its stages.
    """
    with scrub_errors():  # Prefect stores the errors of flows
        config = load_config(Path(path))
        changed = {
            name: options for name, model in (changes or {}).items() if (options := list_changes(model))
        }
        if changed:
            config = change_sections(config, changed)
        config.start_telemetry()
        with Lake.open(config.location) as lake:
            project = ProjectRun(config, lake, StageTasks(config.deploy))
            try:
                yield project
            finally:
                if is_published:
                    publish_run(config, flow, project.summaries)
