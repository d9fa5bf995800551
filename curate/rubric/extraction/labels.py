"""Read labelled pairs with their reasons: the lake's labels, people's verdicts, or a file of preference rows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import pyarrow as pa

from curate.config.rubric_extract import RubricExtract
from curate.core.errors import CurateError
from curate.core.identity import content_id
from curate.core.resources import read_query
from curate.data.conversation import (
    Conversation,
    UnreadableMessageError,
    has_media,
    load_messages,
    render_prompt,
    render_response,
)
from curate.data.preference_files import list_data_files, read_data_rows
from curate.data.preference_pairs import identify_prompt
from curate.data.preference_rows import read_pair, read_ranking
from curate.lake.lake import Lake
from curate.rubric.extraction.pairs import LabelledPair, Reason

_REASON_COLUMNS = ("reasons", "reason", "rationale", "justification", "critique")
_IN_LAKE = ("aggregate", "people")


@dataclass(frozen=True, slots=True)
class Labels:
    """Pairs to learn from; `available`: number of pairs before the draw, `dropped`: rows that are none, by reason."""

    pairs: tuple[LabelledPair, ...]
    available: int
    dropped: Mapping[str, int]

    @property
    def digest(self) -> str:
        """Identifies the pairs and their reasons."""
        reasons = [[reason.text for reason in pair.reasons] for pair in self.pairs]
        return content_id([pair.pair_id for pair in self.pairs], reasons)


def read_labels(lake: Lake, section: RubricExtract, *, folder: Path) -> Labels:
    """Read the labelled pairs that a rubric is to explain.

    Args:
        lake: The lake.
        section: Says whose labels, whose reasons, and how many pairs.
        folder: Folder of curate.yaml, where the path of a file starts.

    Raises:
        CurateError: There are no labels.
    """
    dropped: Counter[str] = Counter()
    if section.labels in _IN_LAKE:
        pairs = list(_read_lake_pairs(lake, section, dropped))
        advice = "run `curate aggregate` first" if section.labels == "aggregate" else "ask people first"
        where = f"The lake has no decided pair of {section.labels}"
    else:
        path = folder / section.labels
        pairs = list(_read_file_pairs(path, dropped))
        advice = "name a file of rows with `prompt`, `chosen` and `rejected`"
        where = f"{path} holds no preference pair{_list_reasons(dropped)}"
    if not pairs:
        raise CurateError(f"{where}: {advice}, or other labels as `rubric.extract.labels`.")
    unique = list({pair.pair_id: pair for pair in pairs}.values())
    drawn = sorted(unique, key=lambda pair: content_id("draw", section.seed, pair.pair_id))[: section.pairs]
    kept = {pair.pair_id for pair in drawn}
    return Labels(tuple(pair for pair in unique if pair.pair_id in kept), len(unique), dropped)


def _list_reasons(dropped: Mapping[str, int]) -> str:
    listed = ", ".join(f"{reason}: {number:,}" for reason, number in dropped.items())
    return f" ({listed})" if listed else ""


# The lake -------------------------------------------------------------------------------------------------


def _read_lake_pairs(lake: Lake, section: RubricExtract, dropped: Counter[str]) -> Iterator[LabelledPair]:
    rows = lake.arrow(read_query("rubric_labels"), [section.labels]).to_pylist()
    reasons = _read_reasons(lake, sorted({row["prompt_id"] for row in rows}), section.reasons)
    for row in rows:
        prompt, better, worse = (load_messages(row[name]) for name in ("prompt", "better", "worse"))
        pair = _make_pair(row["prompt_id"], prompt, better, worse, dropped)
        if pair is not None:
            of_prompt = reasons.get(row["prompt_id"], ())
            own = (_read_reason(judgment, row["better_id"], row["worse_id"]) for judgment in of_prompt)
            yield replace(pair, reasons=tuple(reason for given in own for reason in given))


def _read_reasons(lake: Lake, prompt_ids: Sequence[str], whose: str) -> dict[str, list[dict[str, Any]]]:
    by_prompt: dict[str, list[dict[str, Any]]] = {}
    with lake.bind("wanted", pa.table({"prompt_id": pa.array(prompt_ids, pa.string())})):
        for row in lake.arrow(read_query("rubric_reasons"), [whose]).to_pylist():
            by_prompt.setdefault(row["prompt_id"], []).append(row)
    return by_prompt


def _read_reason(judgment: Mapping[str, Any], better: str, worse: str) -> list[Reason]:
    """Return what a judgment gives as reasons about this pair: one that prefers the other response gives none."""
    a, b, text = judgment["response_a"], judgment["response_b"], (judgment["rationale"] or "").strip()
    if judgment["form"] == "pointwise":
        if a not in (better, worse):
            return []
        which = "the better response" if a == better else "the worse response"
        marked = [
            f"“{span['text']}” ({span.get('label') or 'marked'})" for span in _list_spans(judgment["spans"])
        ]
        return [Reason(part, f"about {which}") for part in (text, *marked) if part]
    if {a, b} != {better, worse} or (a if judgment["outcome"] == "a" else b) != better:
        return []
    is_first = (a == better) == (judgment["shown"] != "ba")
    names = ("the first (A, left)", "the second (B, right)")
    called = names[0] if is_first else names[1]
    who = "a person" if judgment["by_person"] else "a judge"
    return [Reason(text, f"of {who}, to whom the better response was {called}")]


def _list_spans(spans: str | None) -> list[Mapping[str, Any]]:
    value = json.loads(spans) if spans else []
    return [span for span in value if isinstance(span, dict) and span.get("text")]


# Files ----------------------------------------------------------------------------------------------------


def _read_file_pairs(path: Path, dropped: Counter[str]) -> Iterator[LabelledPair]:
    for file in list_data_files(path):
        for row in read_data_rows(file, columns=None):
            if not isinstance(row, Mapping):
                dropped["not an object"] += 1
                continue
            try:
                yield from _read_row(row, dropped)
            except UnreadableMessageError as error:
                dropped[error.kind] += 1


def _read_row(row: Mapping[str, Any], dropped: Counter[str]) -> Iterator[LabelledPair]:
    if row.get("rankings") is not None:
        ranking = read_ranking(row)
        prompt, tools = ranking.prompt, ranking.tools
        placed = sorted(zip(ranking.ranks, ranking.responses, strict=True), key=lambda one: one[0])
        pairs = [(better, worse) for (r, better), (s, worse) in combinations(placed, 2) if r < s]
    else:
        pair = read_pair(row)
        prompt, tools = pair.prompt, pair.tools
        pairs = [(pair.chosen, pair.rejected)]
    given = row.get("prompt_id")
    prompt_id = given if isinstance(given, str) and given else identify_prompt(prompt, tools)
    reasons = tuple(Reason(text) for text in _list_reason_texts(row))
    for better, worse in pairs:
        made = _make_pair(prompt_id, prompt, better, worse, dropped)
        if made is not None:
            yield replace(made, reasons=reasons)


def _list_reason_texts(row: Mapping[str, Any]) -> Iterator[str]:
    for name in _REASON_COLUMNS:
        value = row.get(name)
        for text in value if isinstance(value, list | tuple) else [value]:
            if isinstance(text, str) and text.strip():
                yield text.strip()


def _make_pair(
    prompt_id: str, prompt: Conversation, better: Conversation, worse: Conversation, dropped: Counter[str]
) -> LabelledPair | None:
    """Make a pair of texts; None, and counted, where texts do not say all."""
    if any(map(has_media, (prompt, better, worse))):
        dropped["holds images or videos"] += 1
        return None
    texts = render_response(better).strip(), render_response(worse).strip()
    if texts[0] == texts[1]:
        dropped["the responses differ only in what is not shown"] += 1
        return None
    return LabelledPair(prompt_id, render_prompt(prompt), *texts)
