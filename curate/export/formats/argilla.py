"""The format `argilla`: pairs as records of Argilla, with the label as suggestion, to be looked through there.

The folder as `rg.Dataset.from_disk` reads it, and `records.json` as `dataset.records.from_json` does, in Argilla 2.8.0
(argilla/datasets/_io/_disk.py, argilla/records/_io/_json.py). Responses stand in the order of their ids, which says
nothing about which is better.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from curate.export.formats.annotated_pairs import write_prompt
from curate.export.formats.dialogue import refuse_images
from curate.export.formats.documents import dump, read_rows, write_array
from curate.export.formats.row_format import RowFormat
from curate.export.formats.tasks import Dict
from curate.records import Record

_FIELDS = ("prompt", "response_a", "response_b")
_LABELS = {"a": "A is better", "b": "B is better", "tie": "Equally good"}


class ArgillaRow(Record):
    """A record: `fields` are the texts, `suggestions` the label with its confidence, `metadata` models and ids."""

    id: str
    fields: dict[str, Any]
    metadata: dict[str, Any]
    suggestions: dict[str, Any]
    responses: dict[str, Any]
    vectors: dict[str, Any]


class Argilla(RowFormat):
    """Pairs for people who look through them in Argilla."""

    rows = "pairs"
    Row = ArgillaRow
    checks_rows = False
    title = "Preference pairs for Argilla"

    def write_row(self, row: Dict) -> Dict:
        """Return the record of a pair."""
        chosen, rejected = row["chosen"], row["rejected"]
        refuse_images(row["prompt"], chosen["messages"], rejected["messages"])
        is_first = chosen["response_id"] < rejected["response_id"]
        a, b = (chosen, rejected) if is_first else (rejected, chosen)
        models = {f"model_{side}": response["model"] for side, response in (("a", a), ("b", b))}
        suggestion = {
            "value": "a" if is_first else "b",
            "score": row["confidence"],
            "agent": "curate",
            "type": "model",
        }
        return {
            "id": f"{a['response_id']}-{b['response_id']}",
            "fields": {
                "prompt": write_prompt(row["prompt"]),
                "response_a": a["text"],
                "response_b": b["text"],
            },
            "metadata": {name: model for name, model in models.items() if model is not None}
            | {"prompt_id": row["prompt_id"], "confidence": row["confidence"]},
            "suggestions": {"preferred": suggestion},
            "responses": {},
            "vectors": {},
        }

    def write_files(self, folder: Path, parts: Mapping[str, Sequence[Path]]) -> Sequence[Path]:
        """Write `records.json` and the settings of the data set."""
        (folder / ".argilla").mkdir()
        settings = {
            "guidelines": "Which response is better? The suggestion is what the panel of judges prefers.",
            "fields": [_describe(name, {"type": "text", "use_markdown": True}) for name in _FIELDS],
            "questions": [
                _describe(
                    "preferred",
                    {
                        "type": "label_selection",
                        "options": [{"text": text, "value": value} for value, text in _LABELS.items()],
                        "visible_options": len(_LABELS),
                    },
                )
            ],
            "vectors": [],
            "metadata": [],
            "allow_extra_metadata": True,
            "distribution": {"strategy": "overlap", "min_submitted": 1},
            "mapping": None,
        }
        about = {"name": "preferences", "allow_extra_metadata": True}
        pages = {"settings.json": settings, "dataset.json": about}
        paths = []
        for name, page in pages.items():
            paths.append(folder / ".argilla" / name)
            paths[-1].write_text(dump(page) + "\n", encoding="utf-8")
        everything = (row for files in parts.values() for row in read_rows(files))
        return [*paths, write_array(folder / "records.json", everything)]


def _describe(name: str, settings: Dict) -> Dict:
    return {"name": name, "title": name, "required": True, "description": None, "type": settings["type"]} | {
        "settings": settings
    }
