"""`rubric`: criteria that say what makes a response better, where they come from and which of them stay."""

from __future__ import annotations

from pydantic import Field

from curate.config.rubric_extract import RubricExtract
from curate.core.section import Section


class RubricSection(Section):
    """Criteria of quality: measured, verified and selected."""

    folder: str = Field("rubrics", description="Folder of the rubrics, one YAML file each.")
    extract: RubricExtract = RubricExtract()
