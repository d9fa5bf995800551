"""Splits by prompt: near duplicates together, for good, and never without a test."""

from __future__ import annotations

import json
import random
from pathlib import Path

import polars as pl
import pytest

from curate.config.export import ExportEntry
from curate.config.project import Config
from curate.core.errors import CurateError
from curate.export import write_export
from curate.export.splits import assign_splits
from curate.lake.lake import Lake

SHARES = {"train": 0.8, "test": 0.2}
WORDS = [f"word{number}" for number in range(400)]


def make_texts(count: int, *, copies: int, seed: int) -> list[str]:
    """Texts of 40 words, each with `copies` near copies, in which one word at the end is another one."""
    rng = random.Random(seed)
    texts = []
    for _ in range(count):
        words = rng.choices(WORDS, k=40)
        texts += [" ".join([*words[:-1], rng.choice(WORDS)]) for _ in range(1 + copies)]
    rng.shuffle(texts)
    return texts


def split_of(texts: list[str], shares: dict[str, float] = SHARES) -> list[str | None]:
    ids = [f"id-{text}" for text in texts]
    return [place.split for place in assign_splits(ids, texts, shares, 0.8)]


def test_near_duplicates_are_in_one_split() -> None:
    texts = make_texts(200, copies=3, seed=1)
    splits = split_of(texts)
    by_beginning: dict[str, set[str | None]] = {}
    for text, split in zip(texts, splits, strict=True):
        by_beginning.setdefault(" ".join(text.split()[:30]), set()).add(split)
    assert len(by_beginning) == 200
    assert all(len(found) == 1 for found in by_beginning.values())
    assert 0.1 < splits.count("test") / len(splits) < 0.3


def test_nothing_that_comes_later_moves_a_prompt() -> None:
    texts = make_texts(150, copies=2, seed=2)
    whole = split_of(texts)
    for length in (1, 60, 300):
        assert split_of(texts[:length]) == whole[:length]


def test_a_test_that_grows_keeps_what_it_had() -> None:
    texts = make_texts(300, copies=0, seed=3)
    small, large = (
        split_of(texts, {"train": 0.9, "test": 0.1}),
        split_of(texts, {"train": 0.7, "dev": 0.1, "test": 0.2}),
    )
    assert all(now == "test" for before, now in zip(small, large, strict=True) if before == "test")


def test_a_bridge_between_two_splits_is_in_neither() -> None:
    one, other = [f"a{number}" for number in range(60)], [f"b{number}" for number in range(60)]
    left, right = " ".join(one * 2), " ".join(one * 2 + other[:40])
    bridge = " ".join(one * 2 + other[:20])
    for number in range(200):  # ids are looked for that are in two splits
        ids = [f"left {number}", f"right {number}", "bridge"]
        first, second, between = assign_splits(ids, [left, right, bridge], {"train": 0.5, "test": 0.5}, 0.75)
        if first.split != second.split:
            assert between.split is None
            break
    else:
        pytest.fail("all prompts are in one split")


def test_the_folder_has_the_splits_and_loads(labelled_lake: Lake, tmp_path: Path) -> None:
    import datasets

    entry = ExportEntry(path=str(tmp_path / "out"), splits={"train": 0.75, "test": 0.25})
    assert write_export(labelled_lake, Config(), entry).rows == 72
    parts = {
        name: pl.read_parquet(tmp_path / "out" / "data" / f"{name}-*.parquet") for name in ("train", "test")
    }
    assert not set(parts["train"]["prompt_id"]) & set(parts["test"]["prompt_id"])
    loaded = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert {name: split.num_rows for name, split in loaded.items()} == {
        name: len(part) for name, part in parts.items()
    }
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert set(manifest["tables"]) == {"train", "test"}


def test_a_small_set_has_a_test_too(labelled_lake: Lake, tmp_path: Path) -> None:
    entry = ExportEntry(path=str(tmp_path / "out"), splits={"train": 0.9998, "dev": 0.0001, "test": 0.0001})
    write_export(labelled_lake, Config(), entry)
    prompts = {
        name: pl.read_parquet(tmp_path / "out" / "data" / f"{name}-*.parquet")["prompt_id"].n_unique()
        for name in ("train", "dev", "test")
    }
    assert prompts == {"train": 10, "dev": 1, "test": 1}
    with pytest.raises(CurateError, match="too few different prompts"):
        write_export(
            labelled_lake,
            Config(),
            ExportEntry(
                path=str(tmp_path / "many"), splits={f"part{number}": 1 / 20 for number in range(20)}
            ),
        )


def test_shares_add_up_and_tables_are_not_split(labelled_lake: Lake, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="add up to 1"):
        ExportEntry(path="out", splits={"train": 0.9, "test": 0.2})
    with pytest.raises(CurateError, match="several tables"):
        write_export(
            labelled_lake, Config(), ExportEntry(path=str(tmp_path / "out"), format="parquet", splits=SHARES)
        )
