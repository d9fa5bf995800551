"""Which columns of a source are read, kept or ignored, and which paths of a mapping lead anywhere."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from curate.config.mapping import Fields
from curate.ingest.paths import ABSENT, locate_value

LEAST_SHARE = 0.01  # of rows that have a path, below which it is taken for a slip
_NOTHING: tuple[object, ...] = (None, "", [], {})


def list_columns(
    row: Mapping[str, Any], enter: Callable[[str], bool] = lambda name: True, prefix: str = ""
) -> Iterator[tuple[str, Any]]:
    """Yield the columns of a row with their values; of objects that `enter` says, the columns inside them."""
    for key, value in row.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value and enter(name):
            yield from list_columns(value, enter, f"{name}.")
        else:
            yield name, value


def leads_into(column: str, known: frozenset[str]) -> bool:
    """Tell whether one of the known paths goes into the column."""
    return any(path.startswith((f"{column}.", f"{column}[")) for path in known)


def is_covered(column: str, known: frozenset[str]) -> bool:
    """Tell whether one of the known paths is the column, or leads into it, or to an object that holds it."""
    if column in known or "*" in known:
        return True
    return leads_into(column, known) or any(column.startswith(f"{path}.") for path in known)


def says_something(value: object) -> bool:
    """Tell whether a cell holds anything: no null, no empty text or list."""
    return value not in _NOTHING


@dataclass(slots=True)
class PathCount:
    """Count of the rows that have each path of a mapping, null or not."""

    paths: tuple[str, ...]
    rows: int = 0
    rows_with: dict[str, int] = field(default_factory=dict)
    columns: dict[str, None] = field(default_factory=dict)

    @classmethod
    def from_fields(cls, fields: Fields | None, named: frozenset[str] = frozenset()) -> PathCount:
        """Count the paths that a user's mapping names; `named`: columns that a table has by its header."""
        if fields is None:
            return cls(())
        paths = {*fields.list_paths().values(), *(path for path in fields.meta if path != "*")}
        return cls(tuple(sorted(paths - set(fields.optional) - named - {"."})))

    def add_row(self, row: Mapping[str, Any], responses: Sequence[Any] = ()) -> None:
        """Count the paths that a row has; `responses`: its list, into which some paths go."""
        self.rows += 1
        if len(self.columns) < 200:  # names to suggest; rows need not share their columns
            self.columns |= dict.fromkeys(name for name, _ in list_columns(row))
            for item in responses[:1]:
                if isinstance(item, Mapping):
                    self.columns |= dict.fromkeys(name for name, _ in list_columns(item))
        for path in self.paths:
            if locate_value(row, path) not in (ABSENT, []) or any(
                isinstance(item, Mapping) and locate_value(item, path) is not ABSENT for item in responses
            ):
                self.rows_with[path] = self.rows_with.get(path, 0) + 1

    def list_missing(self) -> list[str]:
        """List the paths that less than 1 % of the rows have."""
        return [path for path in self.paths if self.rows_with.get(path, 0) < LEAST_SHARE * self.rows]

    def explain(self, missing: Sequence[str]) -> str:
        """Say which paths lead nowhere, and what has a name like theirs."""
        counted = ", ".join(
            f"`{path}` is in {self.rows_with.get(path, 0):,} of {self.rows:,} rows" for path in missing
        )
        near = {name: None for path in missing for name in _find_near(path, list(self.columns))}
        hint = f" (near: {', '.join(f'`{name}`' for name in near)})" if near else ""
        return (
            f"{counted}{hint}: mend the path, leave it out, or write `fields: {{optional: [{', '.join(missing)}]}}` "
            "where few rows have it."
        )


def _find_near(path: str, names: Sequence[str]) -> list[str]:
    wanted = path.rsplit(".", 1)[-1].lower()
    scored = [
        (max(difflib.SequenceMatcher(None, wanted, name.rsplit(".", 1)[-1].lower()).ratio(),
             difflib.SequenceMatcher(None, path.lower(), name.lower()).ratio()), name)
        for name in names
    ]  # fmt: skip
    return [name for score, name in sorted(scored, key=lambda pair: -pair[0])[:2] if score >= 0.5]
