"""The demo data keeps the promises of examples/demo/DATA.md: shape, balance, lengths, models that differ."""

from __future__ import annotations

import contextlib
import io
import json
import re
from collections import Counter
from functools import cache
from itertools import combinations
from pathlib import Path
from statistics import mean
from typing import Any

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "examples" / "demo"
MODELS = {"aster", "birch", "cedar", "dune"}
CATEGORIES = {"facts", "reasoning", "instructions", "writing", "refusals", "multi-turn"}

Row = dict[str, Any]


@cache
def read(name: str) -> tuple[Row, ...]:
    lines = (DEMO / name).read_text(encoding="utf-8").splitlines()
    return tuple(json.loads(line) for line in lines)


def rows() -> tuple[Row, ...]:
    return read("responses.jsonl")


def gold() -> dict[str, list[list[str]]]:
    return {row["prompt"]: row["ranking"] for row in read("gold.jsonl")}


def texts(row: Row) -> dict[str, str]:
    return {response["id"]: response["text"] for response in row["responses"]}


def words(text: str) -> int:
    return len(text.split())


def test_every_prompt_has_four_responses_by_the_four_models() -> None:
    assert len(rows()) >= 64
    for row in rows():
        assert {response["model"] for response in row["responses"]} == MODELS, row["id"]
        assert len(row["responses"]) == 4, row["id"]


def test_rows_have_only_the_native_fields() -> None:
    for row in rows():
        assert set(row) - {"reference"} == {"id", "prompt", "responses", "meta"}
        assert set(row["meta"]) <= {"category", "hard", "check"}
        for response in row["responses"]:
            assert set(response) == {"id", "model", "text"}


def test_prompts_are_strings_or_conversations_that_end_with_the_user() -> None:
    for row in rows():
        if isinstance(row["prompt"], str):
            assert row["meta"]["category"] != "multi-turn"
            continue
        turns = [message["role"] for message in row["prompt"] if message["role"] != "system"]
        assert turns == (["user", "assistant"] * len(turns))[: len(turns)], row["id"]
        assert len(turns) >= 3, row["id"]
        assert turns[-1] == "user", row["id"]


def test_ids_are_unique() -> None:
    prompt_ids = [row["id"] for row in rows()]
    response_ids = [response["id"] for row in rows() for response in row["responses"]]
    assert len(set(prompt_ids)) == len(prompt_ids)
    assert len(set(response_ids)) == len(response_ids)


def test_no_text_occurs_twice() -> None:
    prompts = Counter(json.dumps(row["prompt"]) for row in rows())
    responses = Counter(" ".join(text.split()).lower() for row in rows() for text in texts(row).values())
    assert prompts.most_common(1)[0][1] == 1
    assert responses.most_common(1)[0][1] == 1


def test_responses_have_5_to_150_words_and_no_stray_white_space() -> None:
    for row in rows():
        for response_id, text in texts(row).items():
            assert 5 <= words(text) <= 150, response_id
            assert text == text.strip(), response_id


def test_categories_are_balanced() -> None:
    counts = Counter(row["meta"]["category"] for row in rows())
    assert set(counts) == CATEGORIES
    assert max(counts.values()) <= 1.5 * min(counts.values())


def test_references_are_there_and_are_not_one_of_the_responses() -> None:
    for row in rows():
        if row["meta"]["category"] in {"facts", "reasoning", "writing"}:
            assert row["reference"].strip(), row["id"]
        assert row.get("reference") not in texts(row).values(), row["id"]


def test_gold_ranks_exactly_the_responses_of_each_prompt() -> None:
    assert len(read("gold.jsonl")) == len(gold()) == len(rows())
    for row in rows():
        ranked = [response_id for rank in gold()[row["id"]] for response_id in rank]
        assert sorted(ranked) == sorted(texts(row)), row["id"]
        assert all(gold()[row["id"]]), f"{row['id']} has an empty rank"


def test_ties_are_few_and_never_between_all() -> None:
    ties = sum(len(rank) > 1 for ranking in gold().values() for rank in ranking)
    assert 1 <= ties <= len(gold()) // 6
    assert all(len(ranking) >= 3 for ranking in gold().values())


def test_there_are_checks_in_every_category_and_in_all_of_the_instructions() -> None:
    counts = Counter(row["meta"]["category"] for row in rows() if "check" in row["meta"])
    assert set(counts) == CATEGORIES
    totals = Counter(row["meta"]["category"] for row in rows())
    assert counts["instructions"] == totals["instructions"]
    assert counts["reasoning"] == totals["reasoning"]


def gold_pairs() -> list[tuple[str, str]]:
    """All (better, worse) pairs of response ids; tied responses make no pair."""
    return [
        (better, worse)
        for ranking in gold().values()
        for upper, lower in combinations(ranking, 2)
        for better in upper
        for worse in lower
    ]


def lengths() -> dict[str, int]:
    return {response_id: words(text) for row in rows() for response_id, text in texts(row).items()}


def test_length_informs_a_little_and_no_more() -> None:
    size = lengths()
    score = mean((size[b] > size[w]) + 0.5 * (size[b] == size[w]) for b, w in gold_pairs())
    assert 0.45 <= score <= 0.60


def test_the_best_is_the_longest_in_many_prompts() -> None:
    size = lengths()
    longest = [max(texts(row), key=size.__getitem__) in gold()[row["id"]][0] for row in rows()]
    assert sum(longest) >= 16


def test_hard_prompts_are_those_where_a_much_longer_response_is_worse() -> None:
    size = lengths()
    for row in rows():
        best, *others = gold()[row["id"]]
        longest_best = max(size[response_id] for response_id in best)
        longest_other = max(size[response_id] for rank in others for response_id in rank)
        assert row["meta"].get("hard", False) == (longest_other >= 1.5 * longest_best), row["id"]
    assert sum(row["meta"].get("hard", False) for row in rows()) >= 20


def mean_ranks() -> dict[str, float]:
    """Mean rank per model, 1 is best; tied responses share the mean of the places that they take."""
    ranks: dict[str, list[float]] = {model: [] for model in MODELS}
    for row in rows():
        model = {response["id"]: response["model"] for response in row["responses"]}
        place = 1
        for rank in gold()[row["id"]]:
            for response_id in rank:
                ranks[model[response_id]].append(place + (len(rank) - 1) / 2)
            place += len(rank)
    return {model: mean(values) for model, values in ranks.items()}


def test_models_differ_in_quality_but_each_is_sometimes_best() -> None:
    ranks = mean_ranks()
    assert sorted(ranks, key=ranks.__getitem__) == ["aster", "birch", "cedar", "dune"]
    model = {response["id"]: response["model"] for row in rows() for response in row["responses"]}
    best = Counter(model[response_id] for ranking in gold().values() for response_id in ranking[0])
    assert min(best[name] for name in MODELS) >= 4
    assert max(best.values()) <= 0.6 * len(rows())


def test_neither_position_nor_id_gives_the_best_away() -> None:
    places = Counter(
        [response["id"] for response in row["responses"]].index(gold()[row["id"]][0][0]) for row in rows()
    )
    suffixes = Counter(ranking[0][0].rpartition("-")[2] for ranking in gold().values())
    for counts in (places, suffixes):
        assert len(counts) == 4
        assert max(counts.values()) <= 0.4 * len(rows())


def test_the_description_shows_what_its_command_prints() -> None:
    description = (DEMO / "DATA.md").read_text(encoding="utf-8")
    match = re.search(r"<<'EOF'\n(.*?)\nEOF\n```\n+```text\n(.*?)\n```", description, re.DOTALL)
    assert match is not None
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.chdir(ROOT):
        exec(compile(match[1], "DATA.md", "exec"), {})
    assert printed.getvalue().strip() == match[2].strip()
