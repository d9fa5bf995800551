"""Feedback logs: every signal is an annotator of its own, and says what was seen."""

from __future__ import annotations

import math
from typing import Any

import pytest

from curate.lake.lake import Lake
from tests.ingest.samples import Take, lines, rejected

Statement = tuple[str, str, str | None, float | None, str | None]


def event(signal: str, *responses: Any, **keys: Any) -> dict[str, Any]:
    shown = [text if isinstance(text, dict) else {"text": text} for text in responses]
    return {"prompt": "Write a haiku.", "responses": shown, "signal": signal, **keys}


def read_statements(lake: Lake) -> list[Statement]:
    """(annotator, better text, worse text or None, probability or rating, order shown to the better one)."""
    rows = lake.rows(
        "SELECT annotator_id, kind, memory.response_text(a.messages), memory.response_text(b.messages), outcome, p_a, "
        "score, shown FROM judgments JOIN responses AS a ON response_a = a.response_id "
        "LEFT JOIN responses AS b ON response_b = b.response_id ORDER BY ALL"
    )
    statements = []
    for annotator, kind, a, b, outcome, p_a, score, shown in rows:
        assert kind == "implicit"
        if b is None:
            statements.append((annotator, a, None, score, None))
        else:
            turned = outcome == "b"
            order = {"ab": "ba", "ba": "ab"}.get(shown) if turned else shown
            p = None if p_a is None else 1 - p_a if turned else p_a
            statements.append((annotator, *((b, a) if turned else (a, b)), p, order))
    return statements


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (event("thumbs_up", "one"), [("thumbs", "one", None, 1.0, None)]),
        (event("thumbs_down", "one", "two", response=1), [("thumbs", "two", None, 0.0, None)]),
        (event("copy", "one"), [("copy", "one", None, 1.0, None)]),
        (event("accept", "one", accepted=False), [("accept", "one", None, 0.0, None)]),
        (event("regenerate", "old", "new"), [("regenerate", "new", "old", None, None)]),
        (event("edit", "mine", edited="better"), [("edit", "better", "mine", None, None)]),
        (
            event("dwell", {"text": "one", "dwell": 2}, {"text": "two", "dwell": 9.5}),
            [("dwell", "one", None, 2.0, None), ("dwell", "two", None, 9.5, None)],
        ),
        (event("next_turn", "one", next="Thanks, that works."), [("next-turn", "one", None, 1.0, None)]),
        (
            event("next_turn", "one", next="No, that's not what I asked."),
            [("next-turn", "one", None, 0.0, None)],
        ),
        (event("next_turn", "one", next="Write a haiku!"), [("next-turn", "one", None, 0.0, None)]),
        (event("next_turn", "one", next="And one about frogs?"), []),  # which says nothing of the first
        (event("choose", "one", "two", response=1), [("choose", "two", "one", None, None)]),
        (  # what stood before the one that was taken was seen; of what stood after it nobody knows
            event("copy", *({"text": str(n), "position": n} for n in range(3)), response=1),
            [("copy", "1", "0", None, "ba")],
        ),
        (  # unless its propensity was logged
            event(
                "copy",
                {"text": "0", "position": 0},
                {"text": "1", "position": 1, "propensity": 0.4},
                response=0,
            ),
            [("copy", "0", "1", 0.7, "ab")],
        ),
    ],
)
def test_a_signal_says_what_it_means(
    lake: Lake, take: Take, row: dict[str, Any], expected: list[Statement]
) -> None:
    take("log.jsonl", lines(row), format="feedback-log")
    assert rejected(lake) == []
    statements = read_statements(lake)
    assert [statement[:3] + statement[4:] for statement in statements] == [
        statement[:3] + statement[4:] for statement in expected
    ]
    for (*_, p, _), (*_, wanted, _) in zip(statements, expected, strict=True):
        assert p == wanted or (p is not None and wanted is not None and math.isclose(p, wanted))


def test_equal_signals_of_two_events_are_two_statements(lake: Lake, take: Take) -> None:
    rows = [event("thumbs_up", "one", event=f"e{n}", comment="nice") for n in range(3)]
    take("log.jsonl", lines(*rows, rows[0]), format="feedback-log")
    take("more.jsonl", lines(*rows, event("thumbs_up", "one", event=7)), format="feedback-log")
    assert lake.rows("SELECT sample, rationale FROM judgments ORDER BY 1") == [
        *((n, f"nice [event e{n}]") for n in range(3)),
        (3, "[event 7]"),
    ]


def test_an_edited_text_is_an_answer_of_nobodys_model(lake: Lake, take: Take) -> None:
    take(
        "log.jsonl",
        lines(event("edit", {"text": "mine", "model": "m"}, edited="better")),
        format="feedback-log",
    )
    assert lake.rows("SELECT memory.response_text(messages), model FROM responses ORDER BY 1") == [
        ("better", None),
        ("mine", "m"),
    ]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (event("shrug", "one"), "`signal` is 'shrug', but must be one of thumbs_up"),
        (event("thumbs_up", "one", "two"), "`response` is missing"),
        (event("thumbs_up", "one", response=3), "`response` is 3, which is no id or number"),
        (event("regenerate", "one"), "needs two `responses`"),
        (event("edit", "one", edited="one"), "`edited` is the response as it was"),
        (event("dwell", "one"), "No response has `dwell`"),
        (event("copy", {"text": "a", "position": -1}, "b", response=0), "position` is -1"),
        (event("copy", {"text": "a", "propensity": 2}, "b", response=0), "between 0 and 1"),
    ],
)
def test_what_says_nothing_is_quarantined(lake: Lake, take: Take, row: dict[str, Any], reason: str) -> None:
    take("log.jsonl", lines(row, event("copy", "fine")), format="feedback-log")
    ((line, given),) = rejected(lake)
    assert line == 1
    assert reason in given
