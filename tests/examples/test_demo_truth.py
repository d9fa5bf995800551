"""The gold ranking of the demo data agrees with what a program can verify: checks and computed answers."""

from __future__ import annotations

import json
import re
from fractions import Fraction
from itertools import combinations, permutations
from pathlib import Path
from typing import Any

import pytest

DEMO = Path(__file__).parents[2] / "examples" / "demo"

Row = dict[str, Any]


def read(name: str) -> list[Row]:
    return [json.loads(line) for line in (DEMO / name).read_text(encoding="utf-8").splitlines()]


ROWS = read("responses.jsonl")
CHECKED = [row for row in ROWS if "check" in row["meta"]]
GOLD: dict[str, list[list[str]]] = {row["prompt"]: row["ranking"] for row in read("gold.jsonl")}
WEEK = ("Wednesday", "Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday")


def texts(row: Row) -> dict[str, str]:
    return {response["id"]: response["text"] for response in row["responses"]}


def passes(check: dict[str, Any], text: str) -> bool:
    """Whether `text` satisfies `check`; the kinds are listed in examples/demo/DATA.md."""
    value: Any = check["value"]
    low = text.lower()
    match check["kind"]:
        case "all":
            return all(passes(part, text) for part in value)
        case "contains_all":
            return all(part.lower() in low for part in value)
        case "contains_any":
            return any(part.lower() in low for part in value)
        case "excludes":
            return not any(part.lower() in low for part in value)
        case "exact":
            return bool(text == value)
        case "starts_with":
            return text.startswith(value)
        case "ends_with":
            return text.rstrip(".!?").endswith(value)
        case "lowercase":
            return (text == low) is value
        case "words_max":
            return len(text.split()) <= int(value)
        case "sentences":
            return len(re.findall(r"[.!?](?=\s|$)", text)) == int(value) and text[-1] in ".!?"
        case "lines":
            return len(text.splitlines()) == int(value)
        case "bullets":
            return len(re.findall(r"^- ", text, re.MULTILINE)) == int(value) == len(text.splitlines())
        case "numbered":
            return re.findall(r"^(\d+)\. ", text, re.MULTILINE) == [str(n + 1) for n in range(value)]
        case "number":
            return [float(n) for n in re.findall(r"\d+(?:\.\d+)?", text)][-1:] == [value]
        case "json_keys":
            found = parsed(text)
            return isinstance(found, dict) and sorted(found) == sorted(value)
        case "json_array":
            found = parsed(text)
            return isinstance(found, list) and len(found) == value and all(isinstance(s, str) for s in found)
        case kind:
            raise ValueError(f"unknown kind of check: {kind}")


def parsed(text: str) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return None


@pytest.mark.parametrize("row", CHECKED, ids=lambda row: row["id"])
def test_gold_agrees_with_the_check(row: Row) -> None:
    """The best pass, another fails, and nothing that fails stands above something that passes."""
    verdicts = [
        [passes(row["meta"]["check"], texts(row)[response_id]) for response_id in rank]
        for rank in GOLD[row["id"]]
    ]
    flat = [verdict for rank in verdicts for verdict in rank]
    assert all(verdicts[0])
    assert not all(flat)
    assert flat == sorted(flat, reverse=True)


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        ({"kind": "contains_all", "value": ["a", "B"]}, "b A", "a"),
        ({"kind": "contains_any", "value": ["x", "y"]}, "say Y", "tell"),
        ({"kind": "excludes", "value": ["wave"]}, "sea", "Waves"),
        ({"kind": "exact", "value": "Yes."}, "Yes.", '"Yes."'),
        ({"kind": "starts_with", "value": "Come"}, "Come in", "Welcome"),
        ({"kind": "ends_with", "value": "read"}, "to read.", "reading"),
        ({"kind": "lowercase", "value": True}, "rain.", "Rain."),
        ({"kind": "words_max", "value": 2}, "one two", "one two three"),
        ({"kind": "sentences", "value": 2}, "It is 5.25 here. So?", "One. And a"),
        ({"kind": "lines", "value": 2}, "a\nb", "a b"),
        ({"kind": "bullets", "value": 2}, "- a\n- b", "Two:\n- a\n- b"),
        ({"kind": "numbered", "value": 2}, "1. a\n2. b", "1. a\n3. b"),
        ({"kind": "number", "value": 42}, "6 × 7 = 42.", "42, and not 43"),
        ({"kind": "json_keys", "value": ["a", "b"]}, '{"b": 1, "a": 2}', 'Here: {"a": 1, "b": 2}'),
        ({"kind": "json_array", "value": 1}, '["a"]', "[1]"),
        ({"kind": "all", "value": [{"kind": "lines", "value": 1}]}, "a", "a\nb"),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else None,
)
def test_checks_tell_good_from_bad(check: dict[str, Any], good: str, bad: str) -> None:
    assert passes(check, good)
    assert not passes(check, bad)


def average_speed() -> Fraction:
    return Fraction(120) / (Fraction(60, 30) + Fraction(60, 60))


def both_red() -> str:
    draws = list(permutations(["red"] * 5 + ["blue"] * 7, 2))
    return str(Fraction(sum(draw == ("red", "red") for draw in draws), len(draws)))


def winner_of_the_race() -> str:
    fits = {
        order[0]
        for order in permutations(["Ann", "Bo", "Cy", "Di"])
        if order.index("Bo") < order.index("Cy")
        and order[-1] == "Di"
        and order.index("Ann") == order.index("Cy") + 1
    }
    return " or ".join(sorted(fits)) + " won"


def some_gardener_must_be_a_musician() -> str:
    """Search a two-person village for a counterexample; a person is (gardener, spade owner, musician)."""
    people = [(g, s, m) for g in (0, 1) for s in (0, 1) for m in (0, 1) if s >= g]
    counterexample = any(
        any(s and m for _, s, m in village)
        and any(g for g, _, _ in village)
        and not any(g and m for g, _, m in village)
        for village in combinations(people, 2)
    )
    return "No" if counterexample else "Yes"


TRUTH: list[tuple[str, object]] = [
    ("A shop sells pens", 18 // 3 * 2),
    ("A train leaves at 14:35", (17 * 60 + 10) - (14 * 60 + 35)),
    ("All gardeners in a village", some_gardener_must_be_a_musician()),
    ("A rectangle is 4 cm longer", next(w * (w + 4) for w in range(1, 40) if 2 * (w + w + 4) == 40)),
    ("Three friends split a bill", next(2 * c for c in range(1, 84) if 4 * c + 2 * c + c == 84)),
    ("Today is Wednesday", WEEK[100 % 7]),
    ("A car drives 60 km", average_speed()),
    ("A box holds 5 red", both_red()),
    ("Mia is 6 years older", next(m for m in range(6, 99) if m + 4 == 2 * (m - 6 + 4))),
    ("What is the next number", 6 * 7),
    ("A price is raised by 20 %", f"{100 - 100 * 120 // 100 * 80 // 100} %"),
    ("Ann, Bo, Cy and Di", winner_of_the_race()),
]


@pytest.mark.parametrize(("start", "answer"), TRUTH, ids=lambda value: str(value)[:24])
def test_the_answers_to_the_reasoning_prompts_are_computed_anew(start: str, answer: object) -> None:
    (row,) = [row for row in ROWS if str(row["prompt"]).startswith(start)]
    value = row["meta"]["check"]["value"]
    assert (value[0] if isinstance(value, list) else value) == answer


def test_every_reasoning_prompt_is_computed_anew() -> None:
    assert sum(row["meta"]["category"] == "reasoning" for row in ROWS) == len(TRUTH)
