"""One self-contained HTML page about everything that the lake holds."""

from __future__ import annotations

from curate.report.stage import report, write_report

__all__ = ["report", "write_report"]
