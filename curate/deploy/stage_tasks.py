"""Stages, and the chunks of judges, as Prefect tasks with retries, time limits and tags.

A task of a deployment is tried again after a failure: nobody is there to do it, and a stage goes on where it ended. A
run from a terminal ends at once. No task has a cache: what is done is recognised in the lake, by its content.
"""

from __future__ import annotations

from typing import Any

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.runtime import deployment
from prefect.tasks import exponential_backoff

from curate.config.deploy import DeploySection
from curate.core.extras import MissingExtraError
from curate.core.log_scrubbing import scrub_errors
from curate.judge import answer_chunk
from curate.judge.configured import ConfiguredJudge, Panel
from curate.judge.plan import WorkChunk
from curate.judge.reader import ChunkReader
from curate.judge.writer import AnsweredChunk
from curate.lake.lake import Lake
from curate.lake.runs import Summary
from curate.pipeline.curation import StageWork, call_stage

LOCAL_MODEL = "local-model"
"""Tag of work that holds a model in the worker's own process."""

# Tasks that are called, not submitted, run in the flow's own threads, so they share its lake.
# Prefect stores the errors of tasks in its database: they leave each without secrets.
stage_task = task(cache_policy=NO_CACHE)(scrub_errors()(call_stage))
chunk_task = task(name="judge chunk", cache_policy=NO_CACHE)(scrub_errors()(answer_chunk))


class StageTasks:
    """Calls stages and chunks as tasks with the settings of `deploy`."""

    def __init__(self, section: DeploySection) -> None:
        """Take the settings; inside a flow run, which knows whether a deployment has started it."""
        self._section = section
        self._is_deployed = deployment.id is not None
        self._chunk_tasks: dict[str, Task[..., AnsweredChunk]] = {}

    def call_stage(self, name: str, work: StageWork, lake: Lake, /) -> Summary:
        """Do the work of a stage as a task of its name."""
        tags = [f"stage:{name}", *([LOCAL_MODEL] if name.startswith("train") else [])]
        options = self._list_retry_options(self._section.retries)
        timeout = self._section.timeout if self._is_deployed else None
        prepared = stage_task.with_options(name=name, tags=tags, timeout_seconds=timeout, **options)
        return prepared(name, work, lake)

    def ask_chunk(
        self, lake: Lake, panel: Panel, work: WorkChunk, /, *, run_id: str, reader: ChunkReader | None = None
    ) -> AnsweredChunk:
        """Ask the questions of a chunk as a task with a tag for each engine of its judge."""
        if work.judge not in self._chunk_tasks:
            self._chunk_tasks[work.judge] = chunk_task.with_options(
                tags=_list_engine_tags(panel.judges[work.judge]),
                task_run_name=f"judge {work.judge}: chunk {{work.chunk}}",
                **self._list_retry_options(
                    min(self._section.retries, 1)
                ),  # the stage is tried again as a whole
            )
        return self._chunk_tasks[work.judge](lake, panel, work, run_id=run_id, reader=reader)

    def _list_retry_options(self, retries: int) -> dict[str, Any]:
        if not self._is_deployed or not retries:
            return {}
        return {
            "retries": retries,
            "retry_delay_seconds": exponential_backoff(self._section.retry_delay),
            "retry_jitter_factor": 0.2,
            "retry_condition_fn": can_pass,
        }


def can_pass(failed_task: Any, task_run: Any, state: Any) -> bool:
    """Tell whether a failure may be over later: a package that is missing stays missing."""
    try:
        state.result()
    except MissingExtraError:
        return False
    except Exception:
        return True
    return False


def _list_engine_tags(configured: ConfiguredJudge) -> list[str]:
    tags = {f"engine:{engine.name}" for engine in configured.engines}
    if any(not engine.is_remote for engine in configured.engines):
        tags.add(LOCAL_MODEL)
    return sorted(tags)
