"""ICAI's annotated pairs: pairs with the label and the votes of principles in one JSON document.

Written as src/inverse_cai/data/annotated_pairs_format.py of rdnfn/icai does (version 2.0, which its viewer Feedback
Forensics opens); read in that version and in 1.0, which says `text_a` where 2.0 says `a`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from curate.core.atomic import atomic_file
from curate.core.errors import CurateError
from curate.core.identity import content_id
from curate.core.json_text import JsonError, parse_json
from curate.data.rubric import Criterion
from curate.rubric.labelled import LabelledPairs
from curate.rubric.matrix import CriterionMatrix
from curate.rubric.naming import name_criteria

_SIGNS = {"a": 1.0, "text_a": 1.0, "b": -1.0, "text_b": -1.0}
_LABEL = "preference"
_DECIDED = 0.05  # difference of satisfaction from which a criterion prefers a response


def is_annotated_pairs(path: Path) -> bool:
    """Tell whether a file may be a document of annotated pairs: it ends in .json."""
    return path.is_file() and path.suffix == ".json"


def read_annotated_pairs(path: Path, *, label: str | None = None) -> CriterionMatrix:
    """Read pairs, their label and the votes of principles.

    Args:
        path: The JSON document.
        label: Name or id of the annotator whose votes are the label; default: the document's default annotator.

    Raises:
        CurateError: It is no such document, or has no such annotator or no principles.
    """
    document = _load_document(path)
    annotators: Mapping[str, Any] = document["annotators"]
    judge = _find_label(path, document, label)
    principles = {
        identity: " ".join(str(about.get("description") or about.get("name") or identity).split())
        for identity, about in annotators.items()
        if identity != judge and about.get("type") == "principle"
    }
    if not principles:
        raise CurateError(f"{path} has no annotator of the type `principle`: no criteria to verify.")
    names = name_criteria(principles.values())
    criteria = tuple(
        Criterion(name=name, text=text) for name, text in zip(names, principles.values(), strict=True)
    )
    builder = _PairBuilder(path, judge, tuple(principles))
    for number, comparison in enumerate(document["comparisons"]):
        builder.add_comparison(number, comparison)
    pairs, differences = builder.build()
    return CriterionMatrix(
        pairs=pairs,
        criteria=criteria,
        differences=differences,
        failed={names[column]: count for column, count in enumerate(builder.failed) if count},
    )


class _PairBuilder:
    def __init__(self, path: Path, label: str, principles: Sequence[str]) -> None:
        self._path, self._label, self._principles = path, label, principles
        self._prompts: dict[str, int] = {}
        self._responses: dict[tuple[int, str], int] = {}
        self._rows: list[tuple[int, int, float]] = []
        self._votes: list[list[float]] = []
        self._dropped = 0
        self.failed = [0] * len(principles)

    def add_comparison(self, number: int, comparison: Any) -> None:
        where = f"{self._path}: comparison {number + 1}"
        if not isinstance(comparison, Mapping) or not isinstance(comparison.get("annotations"), Mapping):
            raise CurateError(f"{where} has no `annotations`.")
        texts = [_read_text(comparison, side, where) for side in ("a", "b")]
        votes = comparison["annotations"]
        if self._label not in votes:
            self._dropped += 1
            return
        sign = self._read_vote(votes[self._label], where)
        prompt = self._prompts.setdefault(str(comparison.get("prompt") or f"#{number}"), len(self._prompts))
        a, b = (self._responses.setdefault((prompt, text), len(self._responses)) for text in texts)
        is_b = sign < 0.0
        self._rows.append((b, a, 1.0) if is_b else (a, b, 1.0 if sign > 0.0 else 0.5))
        row = []
        for column, principle in enumerate(self._principles):
            vote = votes.get(principle)
            if isinstance(vote, Mapping) and vote.get("no_pref_reason") == "invalid":
                self.failed[column] += 1
                vote = None
            row.append(np.nan if vote is None else self._read_vote(vote, where) * (-1.0 if is_b else 1.0))
        self._votes.append(row)

    def build(self) -> tuple[LabelledPairs, np.ndarray[Any, np.dtype[np.float64]]]:
        if not self._rows:
            raise CurateError(f"{self._path} has no comparison with the label of {self._label!r}.")
        table = np.array(self._rows, np.float64)
        prompts = tuple(self._prompts)
        pairs = LabelledPairs(
            prompt_ids=tuple(content_id(prompt) for prompt in prompts),
            prompts=prompts,
            references=(None,) * len(prompts),
            response_ids=tuple(content_id(prompts[prompt], text) for prompt, text in self._responses),
            responses=tuple(text for _, text in self._responses),
            prompt_of=np.array([prompt for prompt, _ in self._responses], np.int64),
            chosen=table[:, 0].astype(np.int64),
            rejected=table[:, 1].astype(np.int64),
            p_chosen=table[:, 2],
            weight=np.ones(len(table)),
            dropped={"no label": self._dropped} if self._dropped else {},
        )
        return pairs, np.array(self._votes, np.float64)

    def _read_vote(self, vote: Any, where: str) -> float:
        preference = vote.get("pref") if isinstance(vote, Mapping) else vote
        if preference is None:
            return 0.0
        if preference not in _SIGNS:
            raise CurateError(
                f"{where}: a vote is {preference!r}: it should be a, b, text_a, text_b or null."
            )
        return _SIGNS[preference]


def write_annotated_pairs(path: Path, matrix: CriterionMatrix, *, name: str) -> None:
    """Write pairs with their label and the votes of criteria; `name` is the data set's.

    A criterion prefers the response that satisfies it more, or less where its weight is negative; it has no vote where
    the two are even, or where nobody judged both.
    """
    label = _identify(_LABEL)
    annotators: dict[str, Any] = {
        label: {
            "name": _LABEL,
            "description": "The labels that the criteria were held against",
            "type": "unknown",
        }
    }
    for criterion in matrix.criteria:
        annotators[_identify(criterion.text)] = {
            "name": criterion.name,
            "description": criterion.text,
            "type": "principle",
        }
    document = {
        "metadata": {
            "version": "2.0",
            "description": "Pairs annotated by criteria",
            "dataset_name": name,
            "default_annotator": label,
            "available_metadata_keys_per_comparison": ["prompt_id", "confidence"],
        },
        "annotators": annotators,
        "comparisons": [_write_comparison(matrix, pair, label) for pair in range(len(matrix.pairs))],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(document, ensure_ascii=False, indent=1), encoding="utf-8")


def _write_comparison(matrix: CriterionMatrix, pair: int, label: str) -> dict[str, Any]:
    pairs = matrix.pairs
    chosen, rejected = int(pairs.chosen[pair]), int(pairs.rejected[pair])
    is_first = pairs.response_ids[chosen] < pairs.response_ids[rejected]
    a, b = (chosen, rejected) if is_first else (rejected, chosen)
    prompt = int(pairs.prompt_of[a])
    turn = 1.0 if is_first else -1.0
    annotations = {label: _write_vote(turn * (pairs.p_chosen[pair] - 0.5))}
    for column, criterion in enumerate(matrix.criteria):
        vote = matrix.differences[pair, column] * turn * (-1.0 if criterion.weight < 0.0 else 1.0)
        annotations[_identify(criterion.text)] = _write_vote(float(vote))
    return {
        "id": content_id(pairs.response_ids[a], pairs.response_ids[b])[:16],
        "prompt": pairs.prompts[prompt],
        "response_a": {"text": pairs.responses[a], "model": None},
        "response_b": {"text": pairs.responses[b], "model": None},
        "annotations": annotations,
        "metadata": {"prompt_id": pairs.prompt_ids[prompt], "confidence": float(pairs.p_chosen[pair])},
    }


def _write_vote(value: float) -> dict[str, Any]:
    if np.isnan(value):
        return {"pref": None, "no_pref_reason": "not_applicable"}
    if abs(value) < _DECIDED:
        return {"pref": None, "no_pref_reason": "tie"}
    return {"pref": "a" if value > 0.0 else "b"}


def _identify(annotator: str) -> str:
    return content_id("annotator", annotator)[:8]


def _load_document(path: Path) -> dict[str, Any]:
    try:
        document = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, JsonError) as error:
        raise CurateError(
            f"Cannot read {path} as annotated pairs: {' '.join(str(error).split())}."
        ) from error
    keys = ("annotators", "comparisons")
    if not isinstance(document, dict) or not all(key in document for key in keys):
        raise CurateError(
            f"{path} is no document of annotated pairs: it should have `annotators` and `comparisons`."
        )
    if not isinstance(document["annotators"], dict) or not isinstance(document["comparisons"], list):
        raise CurateError(f"{path}: `annotators` should be an object, and `comparisons` an array.")
    return document


def _find_label(path: Path, document: Mapping[str, Any], label: str | None) -> str:
    annotators: Mapping[str, Any] = document["annotators"]
    if label is None:
        default = (document.get("metadata") or {}).get("default_annotator")
        if default in annotators:
            return str(default)
        raise CurateError(f"{path} names no default annotator: say with --label whose votes are the label.")
    for identity, about in annotators.items():
        if label in (identity, about.get("name"), about.get("description")):
            return str(identity)
    raise CurateError(f"{path} has no annotator {label!r}.")


def _read_text(comparison: Mapping[str, Any], side: str, where: str) -> str:
    response = comparison.get(f"response_{side}")
    text = response.get("text") if isinstance(response, Mapping) else comparison.get(f"text_{side}")
    if not isinstance(text, str):
        raise CurateError(f"{where} has no text of response {side}.")
    return text
