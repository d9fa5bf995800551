"""One hostile text, pattern, schema or `meta` is one failed item: it is soon over, and its neighbours are judged."""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from curate.core.json_text import MAX_DEPTH, is_too_deep, unwrap_fence
from curate.engine import Engines, build_chat
from curate.engine.base import Failure
from curate.engine.json_answer import parse_json_object
from curate.judge import Answer, CandidateResponse, PromptItem
from curate.judge.checks import check_number, check_sentences, parse_number
from curate.judge.rule import RuleJudge, RuleOptions
from curate.judge.verifier import Verifier, VerifierOptions

LONG = 40_000
DEEP = "[" * 100_000


def verify_all(texts: list[tuple[str, str | None]], **options: Any) -> list[Answer]:
    """Verify texts, each with the `meta` of its prompt, in one call."""
    verifier = Verifier(VerifierOptions(name="v", kind="verifier", **options), Engines({}, Path()))
    items = [
        PromptItem(str(number), build_chat(("user", "?")), None, (CandidateResponse("a", text),), meta=meta)
        for number, (text, meta) in enumerate(texts)
    ]
    return list(verifier.answer([question for item in items for question in verifier.questions(item)]))


def nest(levels: int) -> str:
    return "[" * levels + "]" * levels


class _Requests(http.server.BaseHTTPRequestHandler):
    seen: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.seen.append(self.path)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    _Requests.seen.clear()
    with http.server.HTTPServer(("127.0.0.1", 0), _Requests) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


# Fault 13 -------------------------------------------------------------------------------------------------


def test_references_of_a_schema_fetch_nothing(server: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret.json"
    secret.write_text('{"type": "string"}')
    hostile: list[Any] = [
        {"$ref": f"{server}/latest/meta-data"},
        {"$ref": secret.as_uri()},
        {"$id": f"{server}/a.json", "$ref": "b.json"},
        {"$schema": f"{server}/dialect", "$ref": f"{server}/c"},
        {"$schema": "http://json-schema.org/draft-04/schema#", "id": f"{server}/x/", "items": {"$ref": "y"}},
        {"$dynamicRef": f"{server}/d#e"},
        {"properties": {"x": {"$ref": "#/$defs/missing"}}},
    ]
    good = {"$ref": "#/$defs/n", "$defs": {"n": {"type": "array", "$comment": server}}}
    metas = [json.dumps({"schema": schema}) for schema in [*hostile[:3], good, *hostile[3:]]]
    answers = verify_all(
        [('{"x": 1}' if "properties" in meta else "[1]", meta) for meta in metas],
        check="json-schema",
        meta="schema",
    )
    assert [answer.outcome for answer in answers] == ["failed"] * 3 + ["a"] + ["failed"] * 4
    assert answers[3].score == 1.0
    assert all("nothing is fetched" in (answer.raw or "") for answer in answers[:3])
    assert _Requests.seen == []


def test_what_a_schema_may_refer_to() -> None:
    dialect = {"$ref": "https://json-schema.org/draft/2020-12/schema"}  # comes with the library
    (answer,) = verify_all([('{"type": "string"}', None)], check="json-schema", expect=dialect)
    assert answer.score == 1.0


# Fault 14 -------------------------------------------------------------------------------------------------


def test_depth_is_limited_before_anything_recurs() -> None:
    good = json.dumps({"schema": {"type": "array"}})
    deep_schema = '{"schema": ' + '{"items": ' * 90 + "{}" + "}" * 91
    answers = verify_all(
        [
            (DEEP, good),
            (nest(50_000), good),
            ("[1]", good),
            ("[1]", json.dumps({"schema": {"$ref": "#"}})),
            ("[1]", json.dumps({"schema": {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#"}}}})),
            ("[1]", '{"schema": {}, "x": ' + nest(985) + "}"),
            ("[1]", deep_schema),
            (nest(99), good),
        ],
        check="json-schema",
        meta="schema",
    )
    assert [(answer.outcome, answer.score) for answer in answers] == [
        ("a", 0.0),
        ("a", 0.0),
        ("a", 1.0),
        ("failed", None),
        ("failed", None),
        ("failed", None),
        ("a", 1.0),
        ("a", 1.0),
    ]
    assert "refers to itself without end" in (answers[3].raw or "")
    assert f"deeper than {MAX_DEPTH} levels" in (answers[5].raw or "")


@pytest.mark.parametrize("text", [DEEP, nest(5000), '{"a":' * 100_000, "[{" * 50_000])
def test_a_judge_that_writes_deep_json_has_failed(text: str) -> None:
    answer = parse_json_object(text)
    assert isinstance(answer, Failure)
    assert answer.reason.startswith("not JSON")


def test_brackets_in_strings_are_no_depth() -> None:
    brackets = "[" * 1000
    assert parse_json_object(json.dumps({"a": brackets, 'b"\\': brackets})) == {
        "a": brackets,
        'b"\\': brackets,
    }
    assert not is_too_deep(nest(MAX_DEPTH))
    assert is_too_deep(nest(MAX_DEPTH + 1))
    assert not is_too_deep("[]" * 1000)
    assert is_too_deep('"' + '\\"[' * 10 + '"' + "[" * 101)


def test_fences() -> None:
    assert unwrap_fence(" ```json\n{}\n```\n").strip() == "{}"
    assert unwrap_fence("```\n\n{}```").strip() == "{}"
    for text in ("```json\n{}", "```python\n{}\n```", "x ```\n{}\n```", "```", "``` ```", "{}"):
        assert unwrap_fence(text) == text
    assert unwrap_fence("```\n{}```", closing_line=True) == "```\n{}```"


# Fault 15 -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "!" * LONG + "x",
        " " * LONG,
        "1" + " " * LONG + "x",
        "1/" * LONG,
        "1," * LONG,
        "\n" * LONG + "x",
        "```json" + "\n" * LONG,
        "```\n" * LONG,
        "- " * LONG,
        ".)" * LONG + "x",
        "\\boxed{" * LONG,
        DEEP,
    ],
)
def test_hostile_texts_are_soon_judged(text: str) -> None:
    request = (
        "Write 3 sentences, 2 paragraphs and 4 bullet points as JSON. " + "Include the word 'a'. " * LONG
    )
    item = PromptItem(
        "p", build_chat(("user", request)), None, (CandidateResponse("a", text), CandidateResponse("b", "A."))
    )
    began = time.process_time()
    check_sentences(text, [1, 2])
    check_number(text, 5)
    parse_json_object(text)
    for rule in ("format", "repetition", "refusal", "length"):
        judge = RuleJudge(RuleOptions(name="r", kind="rule", rule=rule), Engines({}, Path()))
        assert len(judge.answer(list(judge.questions(item)))) == 1
    assert time.process_time() - began < 3


def test_patterns_of_prompts_end_in_time_and_their_neighbours_are_checked() -> None:
    def meta(pattern: str) -> str:
        return json.dumps({"pattern": pattern})

    evil = "a" * 5000 + "!"
    began = time.monotonic()
    answers = verify_all(
        [
            ("abc", meta("b")),
            (evil, meta("(a+)+$")),
            ("abc", meta("^b")),
            (evil, meta(r"(a|a)*\1$")),
            ("abc", meta("(?<=a)b(?=c)")),
            ("abc", meta("(")),
            ("abc", meta("(" * 20_000)),
            ("x\ud800", meta(".$")),
        ],
        check="regex",
        meta="pattern",
        seconds=1,
    )
    assert [(answer.outcome, answer.score) for answer in answers] == [
        ("a", 1.0),
        ("failed", None),
        ("a", 0.0),
        ("failed", None),
        ("a", 1.0),
        ("abstain", None),
        ("abstain", None),
        ("a", 1.0),
    ]
    assert "took longer than 1 s of processor time" in (answers[1].raw or "")
    assert time.monotonic() - began < 60


def test_patterns_within_schemas_end_in_time() -> None:
    schema = {"type": "string", "pattern": "(a+)+$"}
    text = json.dumps("a" * 5000 + "!")
    hostile, good = verify_all(
        [(text, json.dumps({"schema": schema})), ('"a"', json.dumps({"schema": schema}))],
        check="json-schema",
        meta="schema",
        seconds=1,
    )
    assert (hostile.outcome, good.score) == ("failed", 1.0)


@pytest.mark.parametrize(
    ("text", "value"), [("value5", 5), ("abc / 5", 5), ("e5", 5), (".5", 0.5), ("1e5", 1e5), ("- 3/4.", 0.75)]
)
def test_what_stands_before_a_number_does_not_break_it(text: str, value: float) -> None:
    assert parse_number(text) == value
