"""The format `rubric`: a prompt and the rubric by which its responses are judged, to train a writer of rubrics.

A prompt's own rubric goes before one for all prompts; of several the newest counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from pydantic import Field

from curate.core.section import Section
from curate.data.preference_rows import Unusable
from curate.data.rubric import Criterion, Rubric
from curate.data.rubric_text import format_criteria
from curate.export.formats.dialogue import refuse_images, refuse_tools, write_turns
from curate.export.formats.row_format import RowFormat
from curate.export.formats.tasks import Dict
from curate.export.rows import ChatMessage
from curate.records import Record


class RubricOptions(Section):
    """Which rubrics are exported."""

    name: str | None = Field(
        None,
        description="Only rubrics of this name, or for single prompts whose name begins with it; default: all.",
    )


class RubricItem(Record):
    """A criterion of a rubric."""

    name: str
    text: str
    kind: str
    weight: float


class RubricExportRow(Record):
    """A prompt with its rubric: `rubric` is the text that judges read, `criteria` the same one by one."""

    prompt: tuple[ChatMessage, ...]
    rubric: str
    criteria: tuple[RubricItem, ...]
    name: str
    revision: str
    prompt_id: str


class Rubrics(RowFormat):
    """Prompts with the rubrics by which their responses are judged."""

    rows = "prompts"
    Options = RubricOptions
    Row = RubricExportRow
    checks_rows = False
    title = "Prompts with rubrics"
    reads_tables: ClassVar[Mapping[str, str]] = {"rubrics": "row(revision, name, prompt_id)"}

    def __init__(self, name: str, options: Any = None, *, code: str = "") -> None:
        super().__init__(name, options, code=code)
        self.query = "export_rubrics"

    def write_row(self, row: Dict) -> Dict:
        """Return the prompt with the newest of its own rubrics, else with the newest one for all prompts."""
        refuse_images(row["prompt"])
        refuse_tools(row)
        chosen = next(self._find(row["own"], own=True), None) or next(self._find(row["common"]), None)
        if chosen is None:
            raise Unusable("no rubric")
        criteria = tuple(
            Criterion(**{key: value for key, value in one.items() if key != "criterion_id"})
            for one in chosen["criteria"]
        )
        return {
            "prompt": write_turns(row["prompt"]),
            "rubric": format_criteria(Rubric(name="prompt", criteria=criteria)),
            "criteria": [
                {"name": one.name, "text": one.text, "kind": one.kind, "weight": one.weight}
                for one in criteria
            ],
            "name": chosen["name"],
            "revision": chosen["revision"],
            "prompt_id": row["prompt_id"],
        }

    def _find(self, rubrics: Sequence[Dict] | None, *, own: bool = False) -> Iterator[Dict]:
        wanted = self.options.name
        for rubric in rubrics or ():
            if (
                wanted is None
                or rubric["name"] == wanted
                or (own and rubric["name"].startswith(f"{wanted}-"))
            ):
                yield rubric
