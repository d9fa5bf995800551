"""From preferences and rankings to data sets that others load: folders with a card and a manifest."""

from __future__ import annotations

from curate.export.stage import ExportResult, export, export_one

__all__ = ["ExportResult", "export", "export_one"]
