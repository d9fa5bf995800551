"""Export of preferences and rankings as data sets: folders with a card and a manifest."""

from __future__ import annotations

from curate.export.stage import ExportResult, write_export, write_exports

__all__ = ["ExportResult", "write_export", "write_exports"]
