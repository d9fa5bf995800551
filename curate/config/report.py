"""`report`: the page that shows what happened."""

from __future__ import annotations

from pydantic import Field

from curate.config.paths import FilePath
from curate.core.section import Section


class ReportSection(Section):
    """The page that shows what happened."""

    path: FilePath = Field("report.html", description="File of the HTML page.")
    title: str = Field("Preference data report", description="Its heading.")
    examples: int = Field(6, ge=0, le=100, description="Overruled judgments shown with their texts.")
