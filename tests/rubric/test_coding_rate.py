"""Selection by coding rate: held against a naive search, and through the commands."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from curate.rubric.coding_rate import choose_by_coding_rate, compute_coding_rate
from curate.rubric.redundancy import compare_words
from curate.rubric.selection import PairMatrix, SelectionOptions, select_criteria
from tests.rubric.samples import make_rows, run, write_rows


def make_likeness(size: int, dimension: int, seed: int) -> NDArray[np.float64]:
    vectors = np.random.default_rng(seed).standard_normal((size, dimension))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors @ vectors.T


def measure_naively(likeness: NDArray[np.float64], chosen: list[int]) -> float:
    """½ log det(I + K / (n ε²)) from the eigenvalues of K."""
    values = np.linalg.eigvalsh(likeness[np.ix_(chosen, chosen)])
    return float(0.5 * np.log1p(values.clip(min=0.0) / (len(chosen) * 0.01)).sum())


def choose_naively(likeness: NDArray[np.float64], most: int, gain: float) -> list[int]:
    chosen = [int(likeness.sum(axis=1).argmax())]
    while len(chosen) < most:
        rest = [column for column in range(len(likeness)) if column not in chosen]
        if not rest:
            break
        rates = [measure_naively(likeness, [*chosen, column]) for column in rest]
        best = int(np.argmax(rates))
        if rates[best] - measure_naively(likeness, chosen) < gain:
            break
        chosen.append(rest[best])
    return chosen


@given(
    st.integers(1, 12),
    st.integers(2, 20),
    st.integers(0, 50),
    st.integers(1, 12),
    st.sampled_from([0.0, 0.3, 1.0]),
)
def test_it_chooses_what_a_naive_search_does(
    size: int, dimension: int, seed: int, most: int, gain: float
) -> None:
    likeness = make_likeness(size, dimension, seed)
    chosen = choose_by_coding_rate(likeness, most=most, gain=gain).tolist()
    naive = choose_naively(likeness, most, gain)
    assert measure_naively(likeness, chosen) == pytest.approx(compute_coding_rate(likeness, chosen), abs=1e-6)
    assert len(chosen) == len(naive)
    assert compute_coding_rate(likeness, chosen) == pytest.approx(
        compute_coding_rate(likeness, naive), abs=1e-6
    )


def test_a_repetition_adds_nothing_and_something_new_does() -> None:
    likeness = make_likeness(4, 32, 0)
    twins = likeness[np.ix_([0, 0, 0, 1, 2], [0, 0, 0, 1, 2])]
    chosen = choose_by_coding_rate(twins, most=5, gain=0.1).tolist()
    assert len(chosen) == 3
    assert sum(column < 3 for column in chosen) == 1
    assert choose_by_coding_rate(np.zeros((0, 0)), most=5, gain=0.1).tolist() == []


def test_what_says_the_same_is_left_out_and_signs_still_come_from_labels() -> None:
    texts = [
        "It names its source.",
        "It names its source too.",
        "It is short.",
        "It mentions the weather at sea.",
    ]
    rng = np.random.default_rng(0)
    sound = np.where(rng.random(400) < 0.8, 1.0, -1.0)
    columns = [sound, sound, -np.where(rng.random(400) < 0.7, 1.0, -1.0), rng.choice([-1.0, 1.0], 400)]
    pairs = PairMatrix(
        np.stack(columns, axis=1), np.ones(400), np.ones(400), np.arange(400), compare_words(texts)
    )
    selection = select_criteria(pairs, SelectionOptions(method="coding-rate", gain=0.9))
    assert set(selection.chosen.tolist()) in (
        {0, 2},
        {1, 2},
    )  # noise was picked, and dropped since its sign is chance
    by_column = dict(zip(selection.chosen.tolist(), selection.weights.tolist(), strict=True))
    assert by_column[2] < 0 < max(by_column.values())
    assert selection.frequency.tolist() in ([1, 0, 1, 1], [0, 1, 1, 1])
    with pytest.raises(ValueError, match="likeness"):
        select_criteria(replace(pairs, likeness=None), SelectionOptions(method="coding-rate"))


def test_the_commands_select_by_coding_rate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = make_rows(120)
    data = str(write_rows(tmp_path / "pairs.jsonl", rows))
    criteria = {
        "plain": "The response says plainly what it says.",
        "plain-again": "The response plainly says what it says.",
        "hedged": "The response has doubts.",
    }
    (tmp_path / "mine.yaml").write_text(
        yaml.safe_dump(
            {"name": "mine", "criteria": [{"name": name, "text": text} for name, text in criteria.items()]}
        )
    )
    verdicts = [
        {
            "criterion": name,
            "prompt": row["prompt"],
            "response": row[side],
            "satisfied": ("Perhaps" in row[side]) == (name == "hedged"),
        }
        for row in rows
        for side in ("chosen", "rejected")
        for name in criteria
    ]
    recorded = str(write_rows(tmp_path / "verdicts.jsonl", verdicts))
    select = ("rubric", "select", "mine.yaml", data, "--verdicts", recorded, "--json")
    code, out, err = run(capsys, monkeypatch, *select, "--method", "coding-rate")
    assert code == 0, err
    document = json.loads(out)
    assert {row["name"] for row in document["rows"]} == {"plain", "hedged"}
    weights = {row["name"]: row["weight"] for row in document["rows"]}
    assert weights["hedged"] < 0 < weights["plain"]
    assert document["accuracy"]["criteria"]["value"] > 0.8
    code, out, err = run(capsys, monkeypatch, "rubric", "features", data, "--method", "coding-rate", "--json")
    assert code == 0, err
    assert any(row["name"] == "hedges" and row["weight"] for row in json.loads(out)["evidence"])
    code, _, err = run(capsys, monkeypatch, *select, "--method", "luck")
    assert code != 0
    assert "rubric.select.method" in err


def test_curate_yaml_names_the_method(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from curate.config.project import load_config

    (tmp_path / "curate.yaml").write_text("rubric: {select: {method: coding-rate, gain: 0.2}}\n")
    section = load_config(tmp_path / "curate.yaml").rubric.select
    assert (section.method, section.gain, section.embedder) == ("coding-rate", 0.2, None)
