"""`curate ingest --replace`: read a source anew, and forget of its old rows what it does not bring any more.

The old rows are set aside under another name of their input, and stay in the lake until the source has been read. Rows
that come again are taken over, with what judges and people said about them. So a mapping that turns out to be wrong, or
a killed process, loses nothing but the source's own verdicts, which the same command brings back.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from curate.config.ingest import Source
from curate.config.project import Config
from curate.core.errors import CurateError
from curate.core.progress import Track, no_progress
from curate.core.sql_text import quote_text
from curate.ingest import ingest_judgments, ingest_responses, ingest_sources
from curate.ingest.context import check_source
from curate.ingest.inputs import Input, locate_inputs
from curate.lake.forgotten import digest_name, digest_sql
from curate.lake.lake import Lake
from curate.lake.runs import StageRun, Summary
from curate.pipeline.forgetting.stage import ForgetResult, finish_killed_runs, forget_target
from curate.pipeline.forgetting.target import ForgetTarget, select_target

_OLD = "replaced "  # before the name of an input: its rows from before


@dataclass(frozen=True, slots=True)
class Replacement:
    """A source of `curate.yaml` whose rows are to be replaced, with its inputs and the rows that they have now."""

    source: Source
    inputs: tuple[Input, ...]
    rows: dict[str, int]

    @property
    def parts(self) -> tuple[str, ...]:
        """Return the names of the inputs."""
        return tuple(item.part for item in self.inputs)

    @property
    def old(self) -> ForgetTarget:
        """Return the rows from before, once they have been set aside."""
        parts = tuple(f"{_OLD}{part}" for part in self.parts)
        return ForgetTarget(kind="replaced", label=f"replaced {self.source.source}", parts=parts)


def plan_replacement(lake: Lake, config: Config, name: str) -> Replacement:
    """Find a source and make sure that it can be read. Nothing is changed.

    Args:
        lake: The lake.
        config: The project.
        name: The source as `curate.yaml` writes it, its `name`, or the name of its file.

    Raises:
        CurateError: `curate.yaml` has no such source, or its mapping is refused.
    """
    matches = [source for source in config.ingest if name in _list_names(source)]
    if len(matches) != 1:
        known = ", ".join(source.source for source in config.ingest) or "none"
        problem = "has several sources" if matches else "has no source"
        raise CurateError(
            f"curate.yaml {problem} {name!r} under `ingest`: name one of them as it is written ({known})."
        )
    source = matches[0]
    inputs = tuple(locate_inputs(source, config))
    if source.kind == "responses":
        check_source(list(inputs))
    parts = [item.part for item in inputs]
    rows = {
        table: int(lake.value(f"SELECT count(*) FROM {table} WHERE list_contains(?, part)", [parts]))
        for table in ("prompts", "responses", "judgments")
    }
    return Replacement(source, inputs, rows)


def replace_source(
    lake: Lake, config: Config, plan: Replacement, *, erase: bool = False, track: Track = no_progress
) -> tuple[list[Summary], ForgetResult]:
    """Read a source anew and forget what it does not bring any more.

    Args:
        lake: The lake, open for writing.
        config: The project.
        plan: The source.
        erase: Rewrite the lake's history too.
        track: Shows progress.
    """
    finish_killed_runs(lake, config)  # before rows come again that it may still be looking for
    run_id = uuid.uuid4().hex
    _set_aside(lake, config, plan, run_id)
    ingest = ingest_judgments if plan.source.kind == "judgments" else ingest_responses
    read = ingest(lake, [plan.source], config, track=track)
    forgotten = forget_target(lake, config, plan.old, erase=erase, run_id=run_id)
    # Inputs whose verdicts went with the old rows are read again: they may be about the new ones.
    return [read, ingest_sources(lake, config, track=track)], forgotten


def _set_aside(lake: Lake, config: Config, plan: Replacement, run_id: str) -> None:
    """Rename the input in its rows, remove its own verdicts, quarantine and records, and let it come in again."""
    names = tuple({item.name for item in plan.inputs})
    target = ForgetTarget(kind="replaced", label="", parts=plan.parts, names=names)
    run = StageRun(lake, "ingest", config_hash=plan.source.digest)
    with lake.write(run.run_id) as writer, select_target(lake, target):
        own = "judgment_id IN (FROM of_judgments) AND judgment_id NOT IN (SELECT id FROM taken_over)"
        hashes = f"SELECT 'row' AS kind, {digest_sql(f'row:{run_id}', 'judgment_id')} AS digest, '{run_id}' AS run_id"
        writer.add("forgotten", lake.arrow(f"{hashes} FROM judgments WHERE {own}"))
        writer.delete("judgments", own)
        writer.update(
            "judgments",
            "part = heir.part FROM taken_over WHERE judgment_id = taken_over.id AND judgment_id IN (FROM of_judgments)",
        )
        writer.update(
            "judgments",
            "supersedes = NULL WHERE supersedes IN (FROM of_judgments) "
            "AND supersedes NOT IN (SELECT judgment_id FROM judgments)",
        )
        first = quote_text(plan.parts[0])
        for table, column in (("prompts", "prompt_id"), ("responses", "response_id")):
            writer.update(
                table, f"part = '{_OLD}' || coalesce(part, {first}) WHERE {column} IN (FROM of_{table})"
            )
        writer.update("repeats", f"part = '{_OLD}' || part WHERE part IN (FROM target_parts)")
        writer.delete("quarantine", "source IN (FROM target_parts)")
        writer.delete("runs", "stage = 'ingest' AND part IN (FROM target_parts)")
        for part in plan.parts:
            writer.delete("forgotten", "kind = 'source' AND digest = ?", [digest_name("source", part)])


def _list_names(source: Source) -> set[str]:
    return {source.source, source.source.rsplit("/", 1)[-1], *([source.name] if source.name else [])}
