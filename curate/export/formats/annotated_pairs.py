"""The format `annotated-pairs`: pairs with the votes of all annotators, for ICAI and Feedback Forensics.

The document `annotated_pairs.json` as src/inverse_cai/data/annotated_pairs_format.py writes it (version 2.0), at
rdnfn/icai cb88e65: metadata, annotators, and comparisons with `annotations` by annotator (`pref`: a, b or null with
`no_pref_reason`). The default annotator is the label of this export.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from curate.core.identity import content_id
from curate.export.formats.dialogue import refuse_images
from curate.export.formats.documents import dump, read_rows, write_array
from curate.export.formats.row_format import RowFormat
from curate.export.formats.tasks import Dict
from curate.records import Record

_LABEL = "curate_label"


class IcaiResponse(Record):
    """A response of a comparison."""

    text: str
    model: str | None


class AnnotatedPairRow(Record):
    """A comparison. `prompt` is the text of a prompt of one turn, else all turns under the names of their speakers."""

    id: str
    prompt: str
    response_a: IcaiResponse
    response_b: IcaiResponse
    annotations: dict[str, Any]
    metadata: dict[str, Any]


class AnnotatedPairs(RowFormat):
    """Pairs with the votes of each annotator and the label."""

    rows = "pairs"
    Row = AnnotatedPairRow
    checks_rows = False
    title = "Annotated pairs"

    def __init__(self, name: str, options: object = None, *, code: str = "") -> None:
        super().__init__(name, options, code=code)
        self.needs_judgments = True
        self.query = "export_annotated_pairs"
        self._annotators: dict[str, str] = {}  # name → kind

    def write_row(self, row: Dict) -> Dict:
        """Return the comparison of a pair."""
        chosen, rejected = row["chosen"], row["rejected"]
        refuse_images(row["prompt"], chosen["messages"], rejected["messages"])
        is_first = chosen["response_id"] < rejected["response_id"]
        a, b = (chosen, rejected) if is_first else (rejected, chosen)
        annotations: Dict = {_identify(_LABEL): {"pref": "a" if is_first else "b"}}
        for vote in row["votes"]:
            self._annotators[vote["annotator_id"]] = vote["kind"]
            annotations[_identify(vote["annotator_id"])] = _write_vote(vote)
        return {
            "id": content_id(a["response_id"], b["response_id"])[:16],
            "prompt": write_prompt(row["prompt"]),
            "response_a": {"text": a["text"], "model": a["model"]},
            "response_b": {"text": b["text"], "model": b["model"]},
            "annotations": annotations,
            "metadata": {
                "prompt_id": row["prompt_id"],
                "confidence": row["confidence"],
                "source": row["source"],
            },
        }

    def write_files(self, folder: Path, parts: Mapping[str, Sequence[Path]]) -> Sequence[Path]:
        """Write `annotated_pairs.json`, for each split one."""
        annotators: Dict = {
            _identify(_LABEL): {
                "name": _LABEL,
                "description": "The label that curate made of all judgments",
                "type": "unknown",
            }
        }
        for name, kind in sorted(self._annotators.items()):
            about = {
                "name": name,
                "description": f"{name} ({kind})",
                "type": "human" if kind == "human" else "ai",
            }
            annotators[_identify(name)] = about
        metadata = {
            "version": "2.0",
            "description": "Annotated pairs",
            "dataset_name": "preferences of curate",
            "default_annotator": _identify(_LABEL),
            "available_metadata_keys_per_comparison": ["prompt_id", "confidence", "source"],
        }
        before = f'{{"metadata": {dump(metadata)},\n"annotators": {dump(annotators)},\n"comparisons": '
        single = len(parts) == 1
        return [
            write_array(
                folder / ("annotated_pairs.json" if single else f"annotated_pairs_{name}.json"),
                read_rows(files),
                before=before,
                after="}",
            )
            for name, files in parts.items()
        ]


def _identify(annotator: str) -> str:
    return content_id("annotator", annotator)[:8]


def _write_vote(vote: Dict) -> Dict:
    if vote["for_a"] != vote["for_b"]:
        return {"pref": "a" if vote["for_a"] > vote["for_b"] else "b"}
    if vote["silent"] == vote["n"]:
        return {"pref": None, "no_pref_reason": "invalid"}
    return {"pref": None, "no_pref_reason": "both" if vote["for_a"] else "tie"}


def write_prompt(messages: Sequence[Dict]) -> str:
    """Return the text of a prompt of one turn, else all turns under the names of their speakers."""
    texts = [message["content"] if isinstance(message["content"], str) else "" for message in messages]
    if len(messages) == 1:
        return texts[0]
    return "\n\n".join(f"{message['role']}: {text}" for message, text in zip(messages, texts, strict=True))
