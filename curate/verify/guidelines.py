"""The texts beside the tasks: the rubric, then that of the category, else the project's own, else the package's."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from curate.config.project import Config
from curate.core.errors import CurateError
from curate.core.resources import find_resource
from curate.data.rubric import Rubric
from curate.data.rubric_text import format_guideline
from curate.verify.criteria import read_project_rubric
from curate.verify.display import reveal_characters


@dataclass(frozen=True)
class Guidelines:
    """The guidelines of a project, each file read once."""

    config: Config

    def find_text(self, category: str | None) -> str:
        """Return the guideline for prompts of a category, below the rubric."""
        text = self._texts.get(category or "", self._texts[""])
        return text if self._rubric_text is None else f"{self._rubric_text}\n\n{text}"

    @cached_property
    def rubric(self) -> Rubric | None:
        """The rubric that `verify.rubric` names."""
        return read_project_rubric(self.config)

    @cached_property
    def _rubric_text(self) -> str | None:
        """The rubric as people read it: features are left out, which are measured."""
        if self.rubric is None:
            return None
        asked = tuple(criterion for criterion in self.rubric.criteria if criterion.kind != "feature")
        text = format_guideline(self.rubric.model_copy(update={"criteria": asked}))
        return reveal_characters(text).strip()

    @cached_property
    def _texts(self) -> dict[str, str]:
        section = self.config.verify
        texts = {name: self._read_file(path) for name, path in section.guidelines.items()}
        default = find_resource("ui_config/guideline.md").read_text(encoding="utf-8")
        return {"": self._read_file(section.guideline) if section.guideline else default} | texts

    def _read_file(self, path: str) -> str:
        try:
            return self.config.resolve(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise CurateError(f"Cannot read the guideline {path}: {error}.") from error
