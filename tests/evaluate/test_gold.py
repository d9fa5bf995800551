"""Gold files: names resolved, orders turned into pairs, every row accounted for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from curate.core.errors import CurateError
from curate.evaluate.gold import GoldPairs, read_gold
from curate.lake.lake import Lake


def read(lake: Lake, path: Path, *rows: Any) -> GoldPairs:
    file = path / "gold.jsonl"
    file.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
    return read_gold(lake, file)


def names(lake: Lake) -> dict[str, str]:
    return dict(lake.rows("SELECT response_id, key FROM responses"))


def list_decided(lake: Lake, gold: GoldPairs) -> set[tuple[str, str, int]]:
    """(better, worse, 1), or (one, other, 0) for ties, by key and without regard to order in the pair."""
    key, pairs_seen = names(lake), set()
    for a, b, sign in gold.pairs.select("a", "b", "gold").iter_rows():
        assert a < b
        one, other = (key[a], key[b]) if sign > 0 or (sign == 0 and key[a] < key[b]) else (key[b], key[a])
        pairs_seen.add((one, other, abs(sign)))
    return pairs_seen


def test_a_ranking_is_all_its_pairs(sample_lake: Lake, tmp_path: Path) -> None:
    gold = read(
        sample_lake, tmp_path, {"prompt": "q1", "ranking": [["q1-r2"], ["q1-r0", "q1-r1"], ["q1-r3"]]}
    )
    assert list_decided(sample_lake, gold) == {
        ("q1-r2", "q1-r0", 1),
        ("q1-r2", "q1-r1", 1),
        ("q1-r2", "q1-r3", 1),
        ("q1-r0", "q1-r1", 0),
        ("q1-r0", "q1-r3", 1),
        ("q1-r1", "q1-r3", 1),
    }
    key = names(sample_lake)
    assert {key[response]: best for _, response, best in gold.responses.iter_rows()} == {
        "q1-r0": False,
        "q1-r1": False,
        "q1-r2": True,
        "q1-r3": False,
    }


def test_pairs_and_our_own_ids(sample_lake: Lake, tmp_path: Path) -> None:
    prompt = sample_lake.value("SELECT prompt_id FROM prompts WHERE key = 'q2'")
    first = sample_lake.value("SELECT response_id FROM responses WHERE key = 'q2-r0'")
    gold = read(
        sample_lake,
        tmp_path,
        {"prompt": prompt, "a": first, "b": "q2-r1", "winner": "b"},
        {"prompt": "q2", "a": "q2-r2", "b": "q2-r3", "winner": "a"},
        {"prompt": "q2", "a": "q2-r3", "b": "q2-r2", "winner": "b"},
        {"prompt": "q2", "a": "q2-r1", "b": "q2-r3", "winner": "tie"},
    )
    assert list_decided(sample_lake, gold) == {
        ("q2-r1", "q2-r0", 1),
        ("q2-r2", "q2-r3", 1),
        ("q2-r1", "q2-r3", 0),
    }
    assert gold.responses.is_empty()
    assert (gold.rows, gold.kept, gold.duplicates) == (4, 3, 1)


def test_rows_of_no_use_are_counted_by_reason(sample_lake: Lake, tmp_path: Path) -> None:
    good = {"prompt": "q1", "ranking": ["q1-r0", "q1-r1"]}
    gold = read(
        sample_lake,
        tmp_path,
        good,
        "{broken",
        {"prompt": "unheard of", "ranking": [["x"], ["y"]]},
        {"prompt": "q1", "ranking": [["q1-r0"], ["q9-r1"]]},
        {"prompt": "q1", "ranking": [["q1-r0"], ["q1-r0"]]},
        {"prompt": "q1", "ranking": [["q1-r0"]]},
        {"prompt": "q1", "ranking": [[["q1-r0"]], 7]},
        {"prompt": "q1", "a": "q1-r0", "b": "q1-r1", "winner": "both"},
        {"prompt": 3},
    )
    assert gold.dropped == {
        "not in a format of gold": 4,
        "unknown prompt": 1,
        "unknown response": 1,
        "fewer than two responses, or one of them twice": 2,
    }
    assert gold.rows == gold.kept + gold.duplicates + sum(gold.dropped.values()) == 9


def test_a_key_that_two_prompts_have_is_no_name(sample_lake: Lake, tmp_path: Path) -> None:
    sample_lake.rows("UPDATE lake.prompts SET key = 'q1' WHERE key = 'q2'")
    gold = read(
        sample_lake,
        tmp_path,
        {"prompt": "q1", "ranking": ["q1-r0", "q1-r1"]},
        {"prompt": "q3", "ranking": ["q3-r0", "q3-r1"]},
    )
    assert gold.dropped == {"prompt key that several have": 1}


def test_gold_that_decides_nothing_is_an_error_with_its_reasons(sample_lake: Lake, tmp_path: Path) -> None:
    with pytest.raises(CurateError, match="decides no pair of responses in the lake: 1 × unknown prompt"):
        read(sample_lake, tmp_path, {"prompt": "x", "ranking": ["y", "z"]})
    with pytest.raises(CurateError, match="it has no rows"):
        read(sample_lake, tmp_path, "")
    with pytest.raises(CurateError, match="Cannot read the benchmark"):
        read_gold(sample_lake, tmp_path / "nowhere.jsonl")
