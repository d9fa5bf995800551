"""The base class of all sections of `curate.yaml`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from curate.core.identity import content_id


class Section(BaseModel):
    """Settings of one section: frozen, and without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    @property
    def digest(self) -> str:
        """Identifies the settings of this section."""
        return content_id(self.model_dump(mode="json"))
