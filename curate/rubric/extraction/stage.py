"""`curate rubric extract`: labelled pairs and reasons become rubrics, as YAML files and as rows of `rubrics`.

Every request is a row of `rubric_calls`. The same command again finds the answers that it has, asks what failed or is
new, and writes the same rubric. A file that somebody has edited meanwhile is never written over unasked.
"""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from curate.config.project import Config
from curate.config.rubric_extract import RubricExtract
from curate.core.errors import CurateError
from curate.core.identity import content_id
from curate.core.progress import Track, no_progress
from curate.data.rubric import Rubric, build_rubric_row, read_rubric, write_rubric
from curate.engine.base import Engine
from curate.engine.registry import Engines
from curate.lake.lake import Lake
from curate.lake.runs import StageRun, Summary
from curate.records import RubricRow, arrow_schema
from curate.rubric.extraction.base import ExtractionContext, ExtractionMethod
from curate.rubric.extraction.calls import Caller, open_caller
from curate.rubric.extraction.labels import Labels, read_labels
from curate.rubric.extraction.methods import EXTRACTION_METHODS
from curate.rubric.extraction.pairs import group_by_prompt
from curate.rubric.extraction.proposals import Proposal, build_criteria, clean_proposals, merge_proposals

_ORIGIN = "extract"
_WHERE = "rubric.extract"


@dataclass(frozen=True, slots=True)
class ExtractionResult:
    """Rubrics that were written, and how.

    Attributes:
        path: File of the rubric, or folder of those of single prompts.
        rubrics: The rubrics.
        labels: The pairs that they explain.
        steps: Calls by step and what became of them.
        proposed: Criteria that the model wrote.
        dropped: Those that were left out, by reason.
        notes: What methods add.
        summary: The record of the run.
    """

    path: Path
    rubrics: tuple[Rubric, ...]
    labels: Labels
    steps: Mapping[str, Mapping[str, int]]
    proposed: int
    dropped: Mapping[str, int]
    notes: Mapping[str, object]
    summary: Summary


def extract_rubrics(
    lake: Lake, config: Config, *, force: bool = False, track: Track = no_progress
) -> ExtractionResult:
    """Write rubrics from labelled pairs.

    Args:
        lake: The lake, with labels or for the record alone.
        config: The project's settings.
        force: Write over a rubric that was edited, or that something else has written.
        track: Shows progress, call by call.

    Raises:
        CurateError: There are no labels, an option is wrong, a rubric would be written over, or no criterion is left.
    """
    section = config.rubric.extract
    folder = config.resolve(config.rubric.folder)
    path = folder / (section.name if section.scope == "prompt" else f"{section.name}.yaml")
    if not force:
        _refuse_foreign(lake, path)
    labels = read_labels(lake, section, folder=config.resolve("."))
    methods = _open_methods(section, labels, config.resolve("."))
    run = StageRun(lake, "rubric", config_hash=section.digest)
    with contextlib.closing(Engines.from_config(config)) as engines:
        embedder = None
        if section.embedder is not None:
            embedder = engines.get(section.embedder, where=f"{_WHERE}.embedder", needs="embed")
        with track(f"extract {section.name}", None) as advance:
            caller = open_caller(
                engines,
                section.engine,
                where=f"{_WHERE}.engine",
                run=run,
                rubric=section.name,
                max_tokens=section.max_tokens,
                chunk=section.chunk,
                advance=advance,
            )
            collection = _run_methods(methods, caller, section, labels, embedder)
        rubrics = tuple(_build_rubrics(section, labels, collection, embedder, caller.engine.name))
    if not rubrics:
        raise CurateError(
            f"No criterion is left for {path}: {_explain(caller, collection)}. What was asked is kept in "
            "`rubric_calls`, where `curate sql` shows it: try another engine or another method."
        )
    _write(run, path, rubrics, labels, collection)
    return ExtractionResult(
        path,
        rubrics,
        labels,
        caller.steps,
        collection.proposed,
        collection.dropped,
        collection.notes,
        _sum_up(run, path, rubrics),
    )


def _open_methods(section: RubricExtract, labels: Labels, folder: Path) -> list[tuple[str, ExtractionMethod]]:
    methods = []
    for name in section.methods:
        method = EXTRACTION_METHODS.find(name, where=f"{_WHERE}.methods", folder=folder).type()
        if method.of_dataset and section.scope == "prompt":
            raise CurateError(
                f"`{_WHERE}` has the method {name!r}, which looks at all prompts together, and `scope: prompt`: leave "
                "out one of them."
            )
        if method.needs_reasons and not any(pair.reasons for pair in labels.pairs):
            raise CurateError(
                f"`{_WHERE}` has the method {name!r}, which reads reasons, but none of the {len(labels.pairs):,} pairs "
                "has any: set `reasons: all` to read those of judges, or name a file with a column `reasons` as "
                "`labels`."
            )
        methods.append((name, method))
    return methods


@dataclass(slots=True)
class _Collection:
    """Proposals of all methods, what was left out by reason, and notes."""

    proposals: list[Proposal]
    proposed: int
    dropped: Counter[str]
    notes: dict[str, object]


def _run_methods(
    methods: Sequence[tuple[str, ExtractionMethod]],
    caller: Caller,
    section: RubricExtract,
    labels: Labels,
    embedder: Engine | None,
) -> _Collection:
    collection = _Collection([], 0, Counter(), {})
    for _, method in methods:
        context = ExtractionContext(
            caller=caller,
            section=section,
            pairs=labels.pairs,
            cases=group_by_prompt(labels.pairs),
            earlier=merge_proposals(collection.proposals, embedder=embedder, similarity=section.similarity),
            dropped=collection.dropped,
            embedder=embedder,
        )
        refused = collection.dropped.total()
        proposals = method.propose(context)
        collection.proposed += (
            sum(proposal.support for proposal in proposals) + collection.dropped.total() - refused
        )
        collection.proposals += clean_proposals(proposals, collection.dropped, longest=section.longest)
        collection.notes |= context.notes
    collection.dropped = +collection.dropped  # without zeros
    return collection


def _build_rubrics(
    section: RubricExtract, labels: Labels, collection: _Collection, embedder: Engine | None, engine: str
) -> Iterator[Rubric]:
    groups: dict[str | None, list[Proposal]] = {}
    for proposal in collection.proposals:
        for prompt_id in proposal.prompt_ids if section.scope == "prompt" else (None,):
            groups.setdefault(prompt_id, []).append(proposal)
    pairs = Counter(pair.prompt_id for pair in labels.pairs)
    for prompt_id, proposals in groups.items():
        merged = merge_proposals(proposals, embedder=embedder, similarity=section.similarity)
        if prompt_id is None:
            collection.dropped["says the same as another"] += sum(
                proposal.support for proposal in proposals
            ) - len(merged)
            collection.dropped["beyond the number that is kept"] += max(0, len(merged) - section.criteria)
        number = len(labels.pairs) if prompt_id is None else pairs[prompt_id]
        yield Rubric(
            name=section.name if prompt_id is None else f"{section.name}-{prompt_id[:12]}",
            about=f"Written by {engine} from {number:,} labelled pair{'s' if number > 1 else ''} "
            f"({', '.join(section.methods)}). Weights are 1 or -1 until it is verified and selected.",
            prompt_id=prompt_id,
            sources=(*section.methods, section.labels),
            criteria=build_criteria(merged[: section.criteria], number),
        )


def _write(
    run: StageRun, path: Path, rubrics: Sequence[Rubric], labels: Labels, collection: _Collection
) -> None:
    """Commit the rows with their record, and write the files."""
    collection.dropped = +collection.dropped
    details = {
        "pairs": len(labels.pairs),
        "pairs_found": labels.available,
        "rows_dropped": dict(labels.dropped),
        "proposed": collection.proposed,
        "dropped": dict(collection.dropped),
        "notes": collection.notes,
        "learnt_from": sorted({pair.prompt_id for pair in labels.pairs}),
    }
    rows = []
    for rubric in rubrics:
        own = details if rubric.prompt_id is None else details | {"learnt_from": [rubric.prompt_id]}
        row = build_rubric_row(
            rubric,
            origin=_ORIGIN,
            run_id=run.run_id,
            details=json.dumps(own, ensure_ascii=False, sort_keys=True),
        )
        rows.append(row.model_dump())
    fingerprint = content_id([rubric.revision for rubric in rubrics], labels.digest)
    with run.chunk(path.stem, fingerprint=fingerprint, status="done") as (writer, counts):
        for rubric in rubrics:  # the same rubric again takes the new details
            known = [rubric.revision, rubric.name, _ORIGIN]
            writer.delete("rubrics", "revision = ? AND name = ? AND origin = ?", known)
        writer.append("rubrics", pa.Table.from_pylist(rows, schema=arrow_schema(RubricRow)))
        counts.details = {key: value for key, value in details.items() if key != "learnt_from"}
    for rubric in rubrics:
        file = path if rubric.prompt_id is None else path / f"{rubric.prompt_id}.yaml"
        write_rubric(file, rubric, comment="Written by `curate rubric extract`; edit it as you like.")


def _refuse_foreign(lake: Lake, path: Path) -> None:
    """Refuse to write over a rubric that is not as extraction left it."""
    files = sorted(path.glob("*.yaml")) if path.is_dir() else [path] if path.is_file() else []
    if not files:
        return
    known = {str(revision) for (revision,) in lake.rows(
        "SELECT DISTINCT revision FROM rubrics WHERE origin = $1", [_ORIGIN]
    )}  # fmt: skip
    for file in files:
        if read_rubric(file).revision not in known:
            raise CurateError(
                f"{file} is not as `curate rubric extract` wrote it: take another name (`{_WHERE}.name`, --name), or "
                "write over it with --force."
            )


def _sum_up(run: StageRun, path: Path, rubrics: Sequence[Rubric]) -> Summary:
    criteria = sum(len(rubric.criteria) for rubric in rubrics)
    many = f"{len(rubrics):,} rubrics with " if len(rubrics) > 1 else ""
    return run.summary(note=f"{path} ({many}{criteria:,} criteria)")


def _explain(caller: Caller, collection: _Collection) -> str:
    failed = sum(states["failed"] for states in caller.steps.values())
    total = sum(sum(states.values()) for states in caller.steps.values())
    reasons = ", ".join(f"{reason} {number:,}" for reason, number in collection.dropped.items() if number)
    return f"{failed:,} of {total:,} requests failed, and {collection.proposed:,} criteria were proposed" + (
        f" ({reasons})" if reasons else ""
    )
