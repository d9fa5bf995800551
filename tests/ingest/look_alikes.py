"""Files that look like published ones and are none: other names of columns, other files, JSON in cells, nesting.

All of them say the same about the same answers, so that what is read of them can be held against `TRUTH`.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

Better = Literal["first", "second", "tie"]


@dataclass(frozen=True)
class Item:
    """A question with two answers and a verdict."""

    question: str
    first: str
    second: str
    better: Better


TREES = ("oak", "fir", "elm", "yew", "ash", "box", "fig", "bay", "gum", "alder", "larch", "plum")
TRUTH = tuple(
    Item(
        f"What do you know of the {tree}?",
        f"The {tree} is a tree, and it grows slowly.",
        f"A {tree} is a kind of fish, I think.",
        ("first", "second", "tie")[number % 3],
    )
    for number, tree in enumerate(TREES)
)
DECIDED = tuple(item for item in TRUTH if item.better != "tie")

Words = tuple[str, str, str]


def say(item: Item, words: Words) -> str:
    return words[("first", "second", "tie").index(item.better)]


def order(item: Item) -> tuple[str, str]:
    """The better answer and the other one."""
    return (item.second, item.first) if item.better == "second" else (item.first, item.second)


def pairs(
    question: str, first: str, second: str, winner: str, words: Words, **more: Any
) -> list[dict[str, Any]]:
    return [
        {question: item.question, first: item.first, second: item.second, winner: say(item, words), **more}
        for item in (TRUTH if words[2] else DECIDED)
    ]


def decided(question: str, better: str, worse: str) -> list[dict[str, Any]]:
    return [
        dict(zip((question, better, worse), (item.question, *order(item)), strict=True)) for item in DECIDED
    ]


def user(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def assistant(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


def scored(numbers: Callable[[Item], tuple[float, float]], score: str) -> list[dict[str, Any]]:
    return [
        {
            "prompt": item.question,
            "answers": [
                {"text": text, "model": model, score: number}
                for text, model, number in zip(
                    (item.first, item.second), ("m1", "m2"), numbers(item), strict=True
                )
            ],
        }
        for item in TRUTH
    ]


def points(item: Item) -> tuple[float, float]:
    return {"first": (7.5, 2.0), "second": (1.0, 9.0), "tie": (5.0, 5.0)}[item.better]


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_json(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text(json.dumps(rows, indent=1))


def write_csv(delimiter: str = ",", encoding: str = "utf-8") -> Callable[[Path, list[dict[str, Any]]], None]:
    def write(path: Path, rows: list[dict[str, Any]]) -> None:
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
        path.write_bytes(text.getvalue().encode(encoding))

    return write


def write_parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    pq.write_table(pa.Table.from_pylist(rows), path)


@dataclass(frozen=True)
class LookAlike:
    """A file; `outcome`: whether it is read, or refused since its meaning is not decided."""

    name: str
    write: Callable[[Path, list[dict[str, Any]]], None]
    rows: list[dict[str, Any]]
    outcome: Literal["read", "refused"] = "read"


def transcript(item: Item, answer: str) -> str:
    return f"\n\nHuman: {item.question}\n\nAssistant: {answer}"


def rename(rows: list[dict[str, Any]], names: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{names.get(key, key): value for key, value in row.items()} for row in rows]


MODELS = {"model_a": "gpt-x", "model_b": "llama-y"}
LOOK_ALIKES = (
    LookAlike(
        "arena.jsonl",
        write_jsonl,
        pairs(
            "question",
            "response_a",
            "response_b",
            "winner",
            ("model_a", "model_b", "tie (bothbad)"),
            **MODELS,
        ),
    ),
    LookAlike(
        "semicolon.csv", write_csv(";"), pairs("prompt", "answer1", "answer2", "preferred", ("1", "2", "tie"))
    ),
    LookAlike(
        "crowd.tsv",
        write_csv("\t"),
        pairs(
            "Input.question",
            "Input.answerA",
            "Input.answerB",
            "Answer.choice",
            ("A", "B", "same"),
            WorkerId="W7",
        ),
    ),
    LookAlike(
        "generators.parquet",
        write_parquet,
        pairs(
            "instruction",
            "output_1",
            "output_2",
            "label",
            ("output_1", "output_2", "equal"),
            generator_1="m",
            generator_2="n",
        ),
    ),
    LookAlike("sides.json", write_json, pairs("query", "left", "right", "verdict", ("left", "right", "tie"))),
    LookAlike("win_lose.jsonl", write_jsonl, decided("prompt", "y_w", "y_l")),
    LookAlike(
        "messages.jsonl",
        write_jsonl,
        [{"messages": user(i.question), "chosen": order(i)[0], "rejected": order(i)[1]} for i in DECIDED],
    ),
    LookAlike(
        "json_cells.csv",
        write_csv(),
        [
            {
                "prompt": json.dumps(user(i.question)),
                "chosen": json.dumps(assistant(order(i)[0])),
                "rejected": json.dumps(assistant(order(i)[1])),
            }
            for i in DECIDED
        ],
    ),
    LookAlike("better_worse.csv", write_csv(), decided("question", "better_answer", "worse_answer")),
    LookAlike("scores.jsonl", write_jsonl, scored(points, "score")),
    LookAlike(
        "lists.jsonl",
        write_jsonl,
        [{"prompt": i.question, "replies": [i.first, i.second], "ratings": list(points(i))} for i in TRUTH],
    ),
    LookAlike(
        "numbered.parquet",
        write_parquet,
        [
            {
                "prompt": i.question,
                "response_0": i.first,
                "response_1": i.second,
                "better": 0 if i.better == "first" else 1,
            }
            for i in DECIDED
        ],
    ),
    LookAlike(
        "excel.csv",
        write_csv(encoding="utf-8-sig"),
        pairs("prompt", "Response A", "Response B", "Winner", ("A", "B", "Tie"), **MODELS),
    ),
    LookAlike(
        "two_scores.tsv",
        write_csv("\t"),
        [
            {
                "user_prompt": i.question,
                "completion_a": i.first,
                "completion_b": i.second,
                "score_a": points(i)[0],
                "score_b": points(i)[1],
            }
            for i in TRUTH
        ],
    ),
    LookAlike(
        "conversations.jsonl",
        write_jsonl,
        [
            {
                "conversation_a": [*user(i.question), *assistant(i.first)],
                "conversation_b": [*user(i.question), *assistant(i.second)],
                "winner": say(i, ("model_a", "model_b", "tie")),
            }
            for i in TRUTH
        ],
    ),
    LookAlike(
        "sharegpt.json",
        write_json,
        [
            {
                "conversations": [{"from": "human", "value": i.question}],
                "chosen": {"from": "gpt", "value": order(i)[0]},
                "rejected": {"from": "gpt", "value": order(i)[1]},
            }
            for i in DECIDED
        ],
    ),
    LookAlike(
        "transcripts.jsonl",
        write_jsonl,
        [{"accepted": transcript(i, order(i)[0]), "rejected": transcript(i, order(i)[1])} for i in DECIDED],
    ),
    LookAlike(
        "utf16.csv",
        write_csv(encoding="utf-16"),
        pairs("prompt", "text_a", "text_b", "gold", ("text_a", "text_b", "tie")),
    ),
    LookAlike(
        "by_model.parquet",
        write_parquet,
        [
            {
                "prompt": i.question,
                "score_chosen": max(points(i)),
                "score_rejected": min(points(i)),
                "chosen": order(i)[0],
                "rejected": order(i)[1],
            }
            for i in DECIDED
        ],
    ),
    LookAlike(
        "words.jsonl",
        write_jsonl,
        pairs(
            "prompt",
            "response_a",
            "response_b",
            "human_preference",
            ("Response A", "Response B", "Neither"),
            annotator="anna",
        ),
    ),
    LookAlike(
        "best_text.jsonl",
        write_jsonl,
        [
            {"instruction": i.question, "candidates": [i.first, i.second], "best": order(i)[0]}
            for i in DECIDED
        ],
    ),
    LookAlike(
        "better_text.csv",
        write_csv(),
        [
            {"prompt": i.question, "response_1": i.first, "response_2": i.second, "chosen": order(i)[0]}
            for i in DECIDED
        ],
    ),
    LookAlike(
        "best_place.jsonl",
        write_jsonl,
        [
            {
                "instruction": i.question,
                "candidates": [i.first, i.second],
                "chosen_idx": int(i.better == "second"),
            }
            for i in DECIDED
        ],
    ),
    LookAlike(
        "ranking_text.jsonl",
        write_jsonl,
        [
            {
                "instruction": i.question,
                "candidates": {"m1": i.first, "m2": i.second},
                "ranking": say(i, ("m1 > m2", "m2 > m1", "m1 = m2")),
            }
            for i in TRUTH
        ],
    ),
    LookAlike(
        "models.csv",
        write_csv(),
        [
            {
                "prompt": i.question,
                "gpt-4o": i.first,
                "llama-3.1": i.second,
                "gpt-4o_rating": points(i)[0],
                "llama-3.1_rating": points(i)[1],
            }
            for i in TRUTH
        ],
    ),
    LookAlike(
        "repeated_text.jsonl",
        write_jsonl,
        [
            {"instruction": i.question, "candidates": [i.first, i.second], "final": order(i)[0]}
            for i in DECIDED
        ],
        "refused",
    ),
    LookAlike(
        "class_label.jsonl",
        write_jsonl,
        [
            {"instruction": i.question, "candidates": [i.first, i.second], "label": n % 2}
            for n, i in enumerate(TRUTH)
        ],
        "refused",
    ),
    LookAlike(
        "places_or_ranks.jsonl",
        write_jsonl,
        [
            {
                "instruction": i.question,
                "candidates": [i.first, i.second],
                "ranking": [0, 1] if i.better == "first" else [1, 0],
            }
            for i in DECIDED
        ],
        "refused",
    ),
    LookAlike(
        "zero_one.csv",
        write_csv(),
        pairs("prompt", "response_a", "response_b", "label", ("1", "0", "")),
        "refused",
    ),
    LookAlike(
        "ranks.jsonl", write_jsonl, scored(lambda i: (-points(i)[0], -points(i)[1]), "rank"), "refused"
    ),
    LookAlike(
        "scale.jsonl",
        write_jsonl,
        [
            {"prompt": i.question, "response_1": i.first, "response_2": i.second, "preference": n % 7 - 3}
            for n, i in enumerate(TRUTH)
        ],
        "refused",
    ),
    LookAlike(
        "booleans.jsonl",
        write_jsonl,
        [
            {
                "prompt": i.question,
                "response_a": i.first,
                "response_b": i.second,
                "preferred": i.better == "first",
            }
            for i in DECIDED
        ],
        "refused",
    ),
    LookAlike(
        "two_questions.jsonl",
        write_jsonl,
        [{"a": i.first, "b": i.second, "winner": "a", "number": 1} for i in TRUTH],
        "refused",
    ),
    LookAlike(
        "three_states.csv",
        write_csv(),
        pairs("prompt", "response_1", "response_2", "choice", ("1", "2", "0")),
        "refused",
    ),
    LookAlike(
        "two_verdicts.jsonl",
        write_jsonl,
        [
            {**row, "safer": "b"}
            for row in pairs("prompt", "response_a", "response_b", "better", ("a", "b", "tie"))
        ],
        "refused",
    ),
)
