"""Files with the columns of known benchmarks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from curate.config.evaluate import BENCHMARK_FORMAT_NAMES, Benchmark
from curate.core.errors import CurateError
from curate.data.conversation import text_message
from curate.engine.base import build_chat
from curate.evaluate.benchmark import BenchmarkSet
from curate.evaluate.benchmark_formats import BENCHMARK_FORMATS, DETECTED, open_format
from curate.evaluate.benchmark_reader import read_benchmark

REWARD_BENCH = {
    "prompt": "How do I boil an egg?",
    "chosen": "For ten minutes.",
    "chosen_model": "m1",
    "rejected": "No.",
    "rejected_model": "m2",
    "subset": "alpacaeval-easy",
    "id": 7,
}
REWARD_BENCH_2 = {
    "id": "tied:3",
    "prompt": "Name a colour.",
    "chosen": ["red", "blue"],
    "rejected": ["seven", "no", "up"],
    "num_correct": 2,
    "num_incorrect": 3,
    "total_completions": 5,
    "models": ["m"],
    "subset": "Ties",
    "additional_metadata": {"category": None},
}
RM_BENCH = {
    "id": "chat-1",
    "prompt": "Why?",
    "chosen": ["a", "a a", "**a** a"],
    "rejected": ["b", "b b", "**b** b"],
    "domain": "chat",
}
JUDGE_BENCH = {
    "pair_id": "x1",
    "original_id": "10646",
    "source": "mmlu-pro-computer science",
    "question": "Which?",
    "response_model": "gpt",
    "response_A": "this",
    "response_B": "that",
    "label": "B>A",
}
HH = {
    "chosen": "\n\nHuman: Hi\n\nAssistant: Hello\n\nHuman: Bye\n\nAssistant: Farewell",
    "rejected": "\n\nHuman: Hi\n\nAssistant: Hello\n\nHuman: Bye\n\nAssistant: Go",
}


def read(tmp_path: Path, *rows: Any, name: str = "set.jsonl", form: str = "auto") -> BenchmarkSet:
    path = tmp_path / name
    if name.endswith(".parquet"):
        pl.DataFrame(rows).write_parquet(path)
    elif name.endswith(".json"):
        path.write_text(json.dumps(rows))
    else:
        path.write_text("\n".join(map(json.dumps, rows)))
    return read_benchmark(name, folder=tmp_path, form=form)


@pytest.mark.parametrize("name", ["set.jsonl", "set.json", "set.parquet"])
def test_reward_bench(tmp_path: Path, name: str) -> None:
    items_read = read(tmp_path, REWARD_BENCH, name=name)
    assert (items_read.format, items_read.name, items_read.rows, items_read.dropped) == (
        "reward-bench",
        "set",
        1,
        {},
    )
    (item,) = items_read.items
    assert item.key == "7"
    assert item.context == (text_message("user", "How do I boil an egg?"),)
    assert (item.texts, item.tiers, item.subset) == (
        ("For ten minutes.", "No."),
        (1, 2),
        "alpacaeval-easy",
    )


def test_reward_bench_2(tmp_path: Path) -> None:
    (item,) = read(tmp_path, REWARD_BENCH_2, name="set.parquet").items
    assert item.texts == ("red", "blue", "seven", "no", "up")
    assert (item.tiers, item.key, item.subset) == ((1, 1, 2, 2, 2), "tied:3", "Ties")
    assert len(list(item.iterate_pairs())) == 6


def test_rm_bench(tmp_path: Path) -> None:
    items_read = read(tmp_path, RM_BENCH, {**RM_BENCH, "chosen": ["only one"]}, name="total_dataset.json")
    assert items_read.dropped == {"chosen and rejected are no lists of three styles": 1}
    assert items_read.items[0].styles == (0, 1, 2, 0, 1, 2)
    assert len(list(items_read.items[0].iterate_pairs())) == 9


def test_judge_bench(tmp_path: Path) -> None:
    items_read = read(tmp_path, JUDGE_BENCH, {**JUDGE_BENCH, "label": "A=B"})
    assert items_read.dropped == {"label is neither A>B nor B>A": 1}
    assert (items_read.items[0].tiers, items_read.items[0].subset) == ((2, 1), "knowledge")


def test_hh_rlhf(tmp_path: Path) -> None:
    (item,) = read(tmp_path, HH).items
    assert item.context == build_chat(("user", "Hi"), ("assistant", "Hello"), ("user", "Bye"))
    assert item.texts == ("Farewell", "Go")


def test_native_pairs_rankings_and_scores(tmp_path: Path) -> None:
    pair = {"prompt": "?", "chosen": "yes", "rejected": "no", "subset": "short", "prompt_id": "p"}
    ranking = {"prompt": "?", "responses": ["a", {"text": "b"}, "c"], "rankings": [2, 1, 2]}
    scores = {
        "prompt": '[{"role": "user", "content": "?"}]',
        "responses": ["a", "b", "c"],
        "scores": [0, 3, 1.5],
    }
    items_read = read(
        tmp_path, pair, ranking, scores, {**scores, "scores": [1, 1, 1]}, {**pair, "rejected": "yes"}
    )
    assert sum(items_read.dropped.values()) == 2
    assert [item.tiers for item in items_read.items] == [(1, 2), (2, 1, 2), (3, 1, 2)]
    assert items_read.items[2].gold == (0.0, 3.0, 1.5)
    assert items_read.items[2].context == build_chat(("user", "?"))
    assert (items_read.items[0].cluster, items_read.items[0].subset) == ("p", "short")


def test_the_guard_set_is_a_benchmark() -> None:
    items_read = read_benchmark("guard", folder=Path())
    assert len({item.subset for item in items_read.items}) == 14
    assert len({item.cluster for item in items_read.items}) == 12


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(CurateError, match=r"There is no benchmark nothing: name a file, .*reward-bench-2"):
        read_benchmark("nothing", folder=tmp_path)
    with pytest.raises(
        CurateError, match=r"\(read as judge-bench\) has no usable row: 1 × question is missing"
    ):
        read(tmp_path, {"response_A": "x", "response_B": "y", "label": "A>B", "source": "s"})
    with pytest.raises(CurateError, match=r"from the hub: .*HF_HUB_OFFLINE"):
        read_benchmark("rm-bench", folder=tmp_path)
    (tmp_path / "one.json").write_text("{}")
    with pytest.raises(CurateError, match="must hold a list of rows, not a dict"):
        read_benchmark("one.json", folder=tmp_path)


def test_the_names_that_the_configuration_takes_are_those_of_the_registry() -> None:
    assert set(BENCHMARK_FORMAT_NAMES) == set(BENCHMARK_FORMATS.names)
    assert set(DETECTED) < set(BENCHMARK_FORMATS.names)


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ("rewardbench", "did you mean `reward-bench`"),
        ({"chosen": "good"}, "needs its name as `kind`"),
        ({"kind": "auto"}, "which is no kind of benchmark format"),
    ],
)
def test_an_unknown_format_is_refused_when_the_configuration_is_read(form: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Benchmark(name="mine", source="mine.jsonl", format=form)


def test_columns_under_other_names(tmp_path: Path) -> None:
    row = {
        "q": "?",
        "good": "yes",
        "bad": ["no", "never"],
        "scores": "unread",
        "topic": "short",
        "group": "p",
    }
    plain = {
        "q": [{"role": "user", "content": "?"}],
        "good": "yes",
        "bad": "no",
        "topic": None,
        "group": None,
    }
    rated = {"q": "?", "all": ["a", "b"], "stars": [1, 5]}
    names = {"prompt": "q", "chosen": "good", "rejected": "bad", "subset": "topic", "prompt_id": "group"}
    (tmp_path / "names.yaml").write_text(json.dumps(names))
    several, single = read(tmp_path, row, plain, form="./names.yaml").items
    assert (several.texts, several.tiers) == (("yes", "no", "never"), (1, 2, 2))
    assert (several.subset, several.prompt_id, single.subset, single.prompt_id) == ("short", "p", "all", "")
    assert (single.context, single.texts, single.tiers) == (build_chat(("user", "?")), ("yes", "no"), (1, 2))
    (tmp_path / "set.jsonl").write_text(json.dumps(rated))
    form = {"kind": "columns", "prompt": "q", "responses": "all", "scores": "stars"}
    (item,) = read_benchmark("set.jsonl", folder=tmp_path, form=form).items
    assert (item.tiers, item.gold) == ((2, 1), (1.0, 5.0))
    with pytest.raises(CurateError, match="need the column of the `responses`"):
        open_format({"kind": "columns", "scores": "stars"})
    with pytest.raises(CurateError, match="names no data set on the hub"):
        read_benchmark("./names.yaml", folder=tmp_path)
