"""One self-contained HTML page about everything that the lake holds."""

from __future__ import annotations

from curate.report.stage import write_report, write_report_if_stale

__all__ = ["write_report", "write_report_if_stale"]
