"""The report of a check: findings, notes and repairs."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Kind = Literal["catalog", "seal", "file", "claim", "count", "id", "reference"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong: `where` is a file or a table, `sentence` says what is wrong there."""

    kind: Kind
    where: str
    sentence: str


@dataclass(slots=True)
class CheckReport:
    """The result of `check_lake`.

    Attributes:
        findings: What is wrong; an empty list means that nothing is.
        notes: What could not be checked, and what is odd and does no harm.
        repairs: What was repaired.
        files: Data files read.
        bytes: Their size.
        rows: Rows by table.
        snapshot: The snapshot that was checked; None where the catalog could not be opened.
    """

    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    repairs: list[str] = field(default_factory=list)
    files: int = 0
    bytes: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    snapshot: int | None = None

    def add(self, kind: Kind, where: str, sentence: str) -> None:
        self.findings.append(Finding(kind, where, sentence))

    def to_dict(self) -> dict[str, Any]:
        """Return the report as an object of JSON."""
        return asdict(self)
