"""Files with written reasons come in by a mapping, and their reasons stand beside the labels that criteria explain."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from curate.config.project import load_config
from curate.config.rubric_extract import RubricExtract
from curate.lake.lake import Lake
from curate.rubric.extraction.labels import Labels, read_labels
from tests.rubric.samples import make_rows, run, write_rows

SHARED = Path(__file__).parents[3] / "shared" / "data"
LETTERS = {"A": "a", "B": "b", "tie": "tie"}
EXPERTS = {
    "annotator_kind": "human",
    "fields": {
        "prompt": "prompt", "a": "response_a", "b": "response_b", "winner": "gold",
        "winners": {"A": "a", "B": "b"}, "rationale": "expert_justification",
        "ignore": ["item_id", "type_a", "type_b"],
    },
}  # fmt: skip
PANEL = {
    "fields": {
        "prompt": "instruction", "input": "input", "a": "response_a", "b": "response_b",
        "ignore": ["item_id", "app", "model_a", "model_b", "human_majority"],
        "verdicts": [
            *(
                {"name": f"person-{number}", "kind": "human", "winner": f"annotator{number}", "winners": LETTERS}
                for number in (1, 2, 3)
            ),
            *(
                {"name": name, "kind": "llm", "winner": name, "winners": LETTERS, "rationale": f"{name}_reason",
                 "unless": {name: "invalid"}}
                for name in ("gpt35", "pandalm7b")
            ),
        ],
    },
}  # fmt: skip


def make_expert_rows(number: int) -> list[dict[str, Any]]:
    rows = []
    for place, row in enumerate(make_rows(number)):
        sides = (row["chosen"], row["rejected"]) if place % 2 else (row["rejected"], row["chosen"])
        rows.append(
            {
                "item_id": f"i{place}", "prompt": row["prompt"], "response_a": sides[0], "response_b": sides[1],
                "type_a": "human", "type_b": "machine", "gold": "A" if place % 2 else "B",
                "expert_justification": f"Answer {'AB'[place % 2 == 0]} does not hedge.",
            }
        )  # fmt: skip
    return rows


def make_panel_rows(number: int) -> list[dict[str, Any]]:
    rows = []
    for place, row in enumerate(make_rows(number)):
        votes = {f"annotator{person}": "A" for person in (1, 2, 3)}
        judges = {"gpt35": "invalid" if place == 0 else "A", "pandalm7b": "B" if place == 1 else "A"}
        rows.append(
            {
                "item_id": f"i{place}", "app": "x", "model_a": "m", "model_b": "n", "instruction": row["prompt"],
                "input": "Say it.", "response_a": row["chosen"], "response_b": row["rejected"], **votes, **judges,
                "human_majority": "A", **{f"{name}_reason": f"{name} says: it is plain." for name in judges},
            }
        )  # fmt: skip
    return rows


def write_project(folder: Path, source: Path, mapping: dict[str, Any]) -> None:
    entry = {"source": str(source), "name": "given", "kind": "responses", **mapping}
    (folder / "curate.yaml").write_text(yaml.safe_dump({"ingest": [entry]}))


def take_in(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, **section: Any
) -> Labels:
    monkeypatch.chdir(folder)
    code, _, err = run(capsys, monkeypatch, "ingest")
    assert code == 0, err
    with Lake.open(load_config(folder / "curate.yaml").location, read_only=True) as lake:
        return read_labels(lake, RubricExtract(pairs=10_000, **section), folder=folder)


def test_the_justifications_of_experts_are_reasons_and_their_labels_are_explained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_project(tmp_path, write_rows(tmp_path / "given.jsonl", make_expert_rows(80)), EXPERTS)
    labels = take_in(tmp_path, capsys, monkeypatch, labels="people")
    assert len(labels.pairs) == 80
    assert all([reason.text[9:] for reason in pair.reasons] == ["does not hedge."] for pair in labels.pairs)
    assert run(capsys, monkeypatch, "aggregate")[0] == 0
    code, out, err = run(capsys, monkeypatch, "rubric", "features", "--people", "--json")
    assert code == 0, err
    chosen = {row["name"]: row["weight"] for row in json.loads(out)["evidence"] if row["weight"] is not None}
    assert chosen["hedges"] < 0


def test_reasons_of_judges_are_read_where_they_agree_with_the_label(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_project(tmp_path, write_rows(tmp_path / "given.jsonl", make_panel_rows(12)), PANEL)
    labels = take_in(tmp_path, capsys, monkeypatch, labels="people", reasons="all")
    assert len(labels.pairs) == 12
    counts = sorted(len(pair.reasons) for pair in labels.pairs)
    assert counts == [1, 1, *[2] * 10]  # one verdict is none, and one prefers the other response
    people = take_in(tmp_path, capsys, monkeypatch, labels="people")
    assert not any(pair.reasons for pair in people.pairs)


@pytest.mark.parametrize(
    ("file", "mapping", "whose", "pairs", "reasons"),
    [
        ("prd_vicuna80/lfqa_expert_pairs.parquet", EXPERTS, "people", 129, 226),
        ("pandalm/items.parquet", PANEL, "all", 556, 849),
    ],
)
def test_real_files_come_in_with_their_reasons(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    file: str,
    mapping: dict[str, Any],
    whose: str,
    pairs: int,
    reasons: int,
) -> None:
    if not (SHARED / file).exists():
        pytest.skip(f"{file} is not beside this checkout")
    write_project(tmp_path, SHARED / file, mapping)
    labels = take_in(tmp_path, capsys, monkeypatch, labels="people", reasons=whose)
    assert len(labels.pairs) == pairs  # on 11 of the 140 pairs of LFQA two experts differ
    assert sum(len(pair.reasons) for pair in labels.pairs) == reasons
