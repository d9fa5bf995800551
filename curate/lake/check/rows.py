"""Check the rows: numbers, ids and what they refer to."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import duckdb

from curate.lake.check.content_ids import RECIPES, list_wrong_ids
from curate.lake.check.findings import CheckReport
from curate.lake.lake import Lake
from curate.records import TABLES

_UNIQUE = {
    "prompts": "prompt_id",
    "responses": "response_id",
    "judgments": "judgment_id",
    "verify_tasks": "task_id",
    "quarantine": "quarantine_id",
}
_MANY = 1000  # wrong ids that are counted; then the table is as bad as can be


@dataclass(frozen=True, slots=True)
class Reference:
    """Values of `column` (SQL) in `table` that must be among those of `target` in the row's own prompt."""

    table: str
    column: str
    target: str = "responses.response_id"

    @property
    def query(self) -> str:
        """SQL for the values that lead nowhere."""
        table, column = self.target.split(".")
        if self.column == "prompt_id" or table == "judgments":
            return (
                f"SELECT DISTINCT value FROM (SELECT {self.column} AS value FROM {self.table}) "
                f"WHERE value IS NOT NULL AND value NOT IN (SELECT {column} FROM {table})"
            )
        return (
            f"SELECT DISTINCT value FROM (SELECT prompt_id, {self.column} AS value FROM {self.table}) AS named "
            f"ANTI JOIN {table} ON {table}.{column} = named.value AND {table}.prompt_id = named.prompt_id "
            "WHERE value IS NOT NULL"
        )


REFERENCES = (
    *(
        Reference(table, "prompt_id", "prompts.prompt_id")
        for table in (
            *("responses", "judgments", "preferences", "rankings", "dropped_arcs", "graphs"),
            *("verify_tasks", "aspect_preferences", "aspect_rankings"),
        )
    ),
    *(Reference("judgments", column) for column in ("response_a", "response_b", "unnest(listed)")),
    Reference("judgments", "unnest(ranking)"),
    Reference("judgments", "supersedes", "judgments.judgment_id"),
    *(Reference("preferences", column) for column in ("response_a", "response_b")),
    Reference("rankings", "response_id"),
    *(Reference("aspect_preferences", column) for column in ("response_a", "response_b")),
    Reference("aspect_rankings", "response_id"),
    *(Reference("dropped_arcs", column) for column in ("winner", "loser")),
    Reference("verify_tasks", "unnest(responses)"),
)


def check_rows(lake: Lake, report: CheckReport) -> None:
    """Check the rows of every table. A table that cannot be read is a finding, and the others are checked."""
    for table in TABLES:
        _check_part(report, table, partial(_check_counts, lake, report, table))
    for table, column in _UNIQUE.items():
        _check_part(report, table, partial(_check_unique, lake, report, table, column))
    for recipe in RECIPES:
        wrong = itertools.islice(list_wrong_ids(lake, recipe), _MANY)
        _check_part(report, recipe.table, partial(_report_wrong_ids, report, recipe.table, wrong))
    for reference in REFERENCES:
        _check_part(report, reference.table, partial(_check_reference, lake, report, reference))
    _check_part(report, "judgments", partial(_check_order, lake, report))


def _check_part(report: CheckReport, table: str, check: Callable[[], None]) -> None:
    try:
        check()
    except (duckdb.Error, UnicodeDecodeError, ValueError, KeyError, TypeError) as error:
        sentence = f"it cannot be read: {' '.join(str(error).split())}"
        if not any(finding.where == table and finding.sentence == sentence for finding in report.findings):
            report.add("file", table, sentence)


def _check_counts(lake: Lake, report: CheckReport, table: str) -> None:
    """Compare the number of rows by the statistics with that of the rows themselves."""
    column = next(iter(TABLES[table].model_fields))
    known = lake.value(f"SELECT count(*) FROM {table}")
    rows = lake.value(
        f'SELECT count(*) FROM (SELECT "{column}", hash("{column}") AS h FROM {table}) WHERE h IS NOT NULL'
    )
    report.rows[table] = rows
    if known != rows:
        report.add("count", table, f"it has {rows} rows, and by its statistics {known}")


def _check_unique(lake: Lake, report: CheckReport, table: str, column: str) -> None:
    double = lake.rows(
        f"SELECT count(*), min({column}) FROM (SELECT {column} FROM {table} GROUP BY {column} HAVING count(*) > 1)"
    )[0]
    if double[0]:
        report.add("id", table, f"{double[0]} ids are there more than once, such as {double[1]}")


def _report_wrong_ids(report: CheckReport, table: str, wrong: Iterator[str]) -> None:
    ids = list(wrong)
    if ids:
        many = f"{_MANY} or more" if len(ids) == _MANY else str(len(ids))
        report.add("id", table, f"{many} rows are not what their ids say, such as {ids[0]}")


def _check_reference(lake: Lake, report: CheckReport, reference: Reference) -> None:
    number, example = lake.rows(f"SELECT count(*), min(value) FROM ({reference.query})")[0]
    if number:
        report.add(
            "reference",
            reference.table,
            f"{number} values of {reference.column} are not in {reference.target}, such as {example}",
        )


def _check_order(lake: Lake, report: CheckReport) -> None:
    number = lake.value("SELECT count(*) FROM judgments WHERE form = 'pairwise' AND response_a >= response_b")
    if number:
        report.add("id", "judgments", f"{number} pairs are not in the order of their ids")
