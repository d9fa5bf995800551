"""The transaction that removes rows with everything derived from them, and leaves hashes of their ids."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import pyarrow as pa

from curate.aggregate.aspects import ASPECT_TABLES
from curate.aggregate.stage import BY_PROMPT, WHOLE
from curate.core.identity import content_id
from curate.lake.check.content_ids import compute_judgment_id
from curate.lake.forgotten import digest_name, digest_sql
from curate.lake.lake import Lake
from curate.lake.runs import StageRun
from curate.lake.writer import Writer
from curate.pipeline.forgetting.samples import read_left_statements, renumber_statements
from curate.pipeline.forgetting.target import ForgetTarget, select_target
from curate.pipeline.forgetting.usage import Use
from curate.records import Judgment, arrow_schema
from curate.verify.consistency import PART as SCALED_OUT_PART

STAGE = "forget"
_REMOVED = {
    "prompts": ("prompt_id", "forgotten_prompts"),
    "responses": ("response_id", "forgotten_responses"),
    "judgments": ("judgment_id", "forgotten_judgments"),
    "quarantine": ("quarantine_id", "forgotten_quarantine"),
    "verify_tasks": ("task_id", "forgotten_tasks"),
}
_OF_CRITERIA = (
    "prompt_id IN (FROM forgotten_prompts) OR response_id IN (SELECT response_id FROM forgotten_responses) "
    "OR annotator_id IN (FROM target_people)"
)
_LEARNT = ("rubrics", "rubric_calls")  # from the texts of many prompts at once
_DERIVED = (*BY_PROMPT, *WHOLE, *ASPECT_TABLES)
_OF_PAIRS = ("tested_labels", "label_uses")
_LOST_PAIR = (
    "prompt_id IN (FROM forgotten_prompts) OR response_a IN (SELECT response_id FROM forgotten_responses) "
    "OR response_b IN (SELECT response_id FROM forgotten_responses)"
)


def count_removed(lake: Lake) -> dict[str, int]:
    """Count the rows to remove by table, given the temporary tables of `select_target`; derived ones too."""
    counts = {table: _count(lake, f"SELECT count(*) FROM {name}") for table, (_, name) in _REMOVED.items()}
    if counts["judgments"]:
        counts |= {table: _count(lake, f"SELECT count(*) FROM {table}") for table in _DERIVED}
    counts |= {table: _count(lake, f"SELECT count(*) FROM {table} WHERE {_LOST_PAIR}") for table in _OF_PAIRS}
    counts["criterion_verdicts"] = _count(
        lake, f"SELECT count(*) FROM criterion_verdicts WHERE {_OF_CRITERIA}"
    )
    if any(counts.values()):
        counts |= {name: _count(lake, f"SELECT count(*) FROM {name}") for name in _LEARNT}
    return {table: number for table, number in counts.items() if number}


def remove_rows(run: StageRun, target: ForgetTarget, uses: Sequence[Use], *, erase: bool) -> dict[str, int]:
    """Remove what a target names, in one transaction with its record; returns the rows removed by table.

    The record has the status `chunk`: what remains to be done outside of the tables is done by `finish_forgetting`.

    Args:
        run: The run that the record belongs to.
        target: What is to be forgotten.
        uses: What was made of it, for the record.
        erase: Whether the lake's history is to be rewritten.
    """
    lake = run.lake
    with (
        run.chunk(target.label, fingerprint=content_id(run.run_id)) as (writer, counts),
        select_target(lake, target),  # inside the lock: nobody else can be writing
    ):
        removed = count_removed(lake)
        taken_over = _count(lake, "SELECT count(*) FROM taken_over")
        _leave_hashes(writer, lake, run.run_id, target)
        left = read_left_statements(lake)
        anonymous = _read_anonymous(lake) if target.anonymise else None
        _forget_memory(writer, lake)
        for table, (column, name) in _REMOVED.items():
            writer.delete(table, f"{column} IN (SELECT {column} FROM {name})")
        _drop_decisions(writer)
        _drop_rubrics(writer, lost_any=bool(removed))
        if removed.get("judgments"):
            _drop_derived(writer)
            _reopen_judges(writer)
        if anonymous is not None:
            writer.append("judgments", anonymous)
        _settle_links(writer)
        _hand_over(writer)
        _remove_inputs(writer, target)
        renumber_statements(writer, lake, left)
        counts.dropped = {f"{table} forgotten": removed[table] for table in _REMOVED if table in removed}
        counts.rows_in = counts.rows_dropped
        counts.details |= {
            "kind": target.kind,
            "erase": erase,
            "removed": removed,
            "taken_over": taken_over,
            "anonymised": 0 if anonymous is None else anonymous.num_rows,
            "uses": [asdict(use) for use in uses],
        }
    return removed


def spare_present(lake: Lake, run_id: str) -> int:
    """Remove hashes of rows that have come in again meanwhile, as another input's, and return their number."""
    present = " UNION ALL ".join(
        f"SELECT {digest_sql(f'row:{run_id}', column)} AS digest FROM {table}"
        for table, (column, _) in _REMOVED.items()
    )
    where = f"run_id = ? AND kind = 'row' AND digest IN ({present})"
    if not lake.value(f"SELECT count(*) FROM forgotten WHERE {where}", [run_id]):
        return 0
    with lake.write(run_id) as writer:
        return writer.delete("forgotten", where, [run_id])


def _leave_hashes(writer: Writer, lake: Lake, run_id: str, target: ForgetTarget) -> None:
    """Write hashes of the ids, for the receipt, and of the names that are not to come in again."""
    queries = [
        f"SELECT 'row' AS kind, {digest_sql(f'row:{run_id}', column)} AS digest FROM {name}"
        for column, name in _REMOVED.values()
    ]
    if target.kind == "prompt":
        queries += [
            f"SELECT 'prompt', {digest_sql('prompt', 'prompt_id')} FROM forgotten_prompts",
            (
                f"SELECT 'key', {digest_sql('key', 'prompts.key')} FROM prompts "
                "WHERE prompts.key IS NOT NULL AND prompt_id IN (FROM forgotten_prompts)"
            ),
        ]
    named = [("person", digest_name("person", name)) for name in target.people]
    named += [("row", digest_name(f"row:{run_id}", name)) for name in target.people]
    if target.kind == "source":
        named += [("source", digest_name("source", part)) for part in target.parts]
    columns = list(zip(*named, strict=True)) or [(), ()]
    listed = {
        name: pa.array(values, pa.string()) for name, values in zip(("kind", "digest"), columns, strict=True)
    }
    with lake.bind("named_digests", pa.table(listed)):
        union = " UNION ALL ".join([*queries, "FROM named_digests"])
        rows = lake.arrow(f"SELECT *, '{run_id}' AS run_id FROM ({union})")
    writer.add("forgotten", rows)


def _forget_memory(writer: Writer, lake: Lake) -> None:
    """Take what is forgotten out of the memory of the guarantee.

    A revision whose labels, or the verdicts of people that tested it, are not whole any more retires: it hands on what
    is left of its wealth, and cannot be tested again. Pairs whose verdicts are forgotten stay spent.
    """
    of_people = "prompt_id IN (SELECT prompt_id FROM forgotten_judgments WHERE kind = 'human')"
    touched = lake.value(
        f"SELECT count(*) FROM (SELECT 1 FROM tested_labels WHERE {_LOST_PAIR} UNION ALL "
        f"SELECT 1 FROM label_uses WHERE ({_LOST_PAIR}) OR {of_people})"
    )
    if not touched:
        return
    for table in _OF_PAIRS:
        writer.delete(table, _LOST_PAIR)
    writer.update("label_uses", f"agrees = 0 WHERE {of_people}")
    writer.update("guarantee_tests", "identity = ''")


def _drop_derived(writer: Writer) -> None:
    """Remove all labels: each depends on every judgment, through what is known of the annotators."""
    for table in _DERIVED:
        writer.delete(table, "true")
    writer.delete("runs", "stage = 'aggregate' OR (stage = 'verify' AND part = ?)", [SCALED_OUT_PART])


def _drop_decisions(writer: Writer) -> None:
    """Remove what filters decided about forgotten rows, and about others on account of them: they look again."""
    gone = "SELECT prompt_id FROM forgotten_prompts UNION ALL SELECT response_id FROM forgotten_responses"
    if writer.delete("filter_decisions", f"item_id IN ({gone}) OR other IN ({gone}) OR target = 'pair'"):
        writer.update(
            "runs",
            "fingerprint = 'forgotten ' || fingerprint "
            "WHERE stage = 'filter' AND NOT starts_with(fingerprint, 'forgotten ')",
        )


def _drop_rubrics(writer: Writer, *, lost_any: bool) -> None:
    """Remove verdicts on criteria that are about forgotten rows, and all rubrics: they were learnt from the texts.

    The files of rubrics are the user's, and stay.
    """
    writer.delete("criterion_verdicts", _OF_CRITERIA)
    if lost_any:
        for name in _LEARNT:
            writer.delete(name, "true")


def _reopen_judges(writer: Writer) -> None:
    """Let judges look for questions again: rows that come back are to be judged again."""
    writer.update(
        "runs",
        "fingerprint = 'forgotten ' || fingerprint "
        "WHERE stage = 'judge' AND status = 'done' AND NOT starts_with(fingerprint, 'forgotten ')",
    )


def _settle_links(writer: Writer) -> None:
    """Take links to what is gone out of what stays."""
    writer.update(
        "judgments", "supersedes = NULL WHERE supersedes IN (SELECT judgment_id FROM forgotten_judgments)"
    )
    writer.update(
        "judgments",
        "raw = CAST(json_merge_patch(raw, '{\"edited_by\": null}') AS VARCHAR) "
        "WHERE kind = 'human' AND json_valid(raw) AND json_extract_string(raw, '$.edited_by') IN (FROM target_people)",
    )
    for name, column in (
        ("prompts", "prompt_id"),
        ("responses", "response_id"),
        ("judgments", "judgment_id"),
    ):
        writer.delete("repeats", f"id IN (SELECT {column} FROM forgotten_{name})")


def _hand_over(writer: Writer) -> None:
    """Make rows that another input brings too that input's, as if it had been the only one."""
    writer.update(
        "prompts",
        "part = heir.part, source = heir.source, split = heir.split, meta = heir.meta "
        "FROM taken_over WHERE prompt_id = taken_over.id AND prompt_id IN (FROM of_prompts)",
    )
    writer.update(
        "responses",
        "part = heir.part, meta = heir.meta "
        "FROM taken_over WHERE response_id = taken_over.id AND response_id IN (FROM of_responses)",
    )
    writer.update(
        "judgments",
        "part = heir.part FROM taken_over WHERE judgment_id = taken_over.id AND judgment_id IN (FROM of_judgments)",
    )
    writer.delete("repeats", "id || ' ' || part IN (SELECT id || ' ' || heir.part FROM taken_over)")


def _remove_inputs(writer: Writer, target: ForgetTarget) -> None:
    """Remove the record of the inputs, and let inputs that lost judgments be read again."""
    if target.kind in ("source", "replaced"):
        writer.delete("repeats", "part IN (FROM target_parts)")
        writer.delete("sources", "part IN (FROM target_parts)")
        writer.delete(
            "runs",
            "stage = 'ingest' AND (part IN (FROM target_parts) OR part IN (FROM bereft_parts))",
        )


def _read_anonymous(lake: Lake) -> pa.Table:
    """Read the person's judgments without anything that leads to them: name, words, ids that can be computed."""
    rows: list[dict[str, Any]] = lake.arrow(
        "SELECT * FROM judgments WHERE annotator_id IN (FROM target_people) "
        "AND prompt_id NOT IN (FROM forgotten_prompts)"
    ).to_pylist()
    name = f"anonymous-{uuid.uuid4().hex[:16]}"
    identities = {row["judgment_id"]: _make_anonymous_id(row, name) for row in rows}
    for row in rows:
        details = _read_details(row["raw"])
        row |= {
            "judgment_id": identities[row["judgment_id"]],
            "annotator_id": name,
            "rationale": None,
            "raw": json.dumps({"task": details["task"]}) if "task" in details else None,
            "supersedes": identities.get(row["supersedes"]),
            "seconds": 0.0,
        }
    return pa.Table.from_pylist(rows, schema=arrow_schema(Judgment))


def _make_anonymous_id(row: dict[str, Any], name: str) -> str:
    if row["revision"] != "imported":
        return uuid.uuid4().hex
    return compute_judgment_id(row | {"annotator_id": name})


def _read_details(raw: str | None) -> dict[str, Any]:
    try:
        details = json.loads(raw or "{}")
    except ValueError:
        return {}
    return details if isinstance(details, dict) else {}


def _count(lake: Lake, query: str) -> int:
    return int(lake.value(query))
