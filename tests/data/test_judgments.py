"""Rows of judgments: canonical order changes nothing that is said, and ids are those of all lakes before."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from curate.core.identity import content_id
from curate.data.judgments import (
    JudgmentStatement,
    build_judgment_table,
    make_answer_id,
    make_failure_id,
    make_question_id,
    order_pair,
)
from curate.records import Judgment, arrow_schema

COMMON: dict[str, Any] = {
    "prompt_id": st.sampled_from(["p", "ü"]),
    "annotator_id": st.sampled_from(["x", "y"]),
    "kind": st.sampled_from(["llm", "human"]),
    "revision": st.sampled_from(["1", "imported"]),
    "sample": st.integers(0, 3),
    "rationale": st.sampled_from([None, "Because."]),
}


def build_statements(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[JudgmentStatement]:
    """Return statements with drawn fields; the others have their defaults."""
    return st.fixed_dictionaries({**COMMON, **fields}).map(lambda drawn: JudgmentStatement(**drawn))


PAIRS = build_statements(
    form=st.just("pairwise"),
    responses=st.sampled_from([("1", "2"), ("2", "1"), ("3", "0")]),
    shown=st.sampled_from(["ab", "ba", None]),
    outcome=st.sampled_from(["a", "b", "tie", "abstain", "failed"]),
    p_a=st.sampled_from([None, 0.0, 0.25, 0.5, 1.0]),
    score=st.sampled_from([None, 0.0, -2.5]),
)
RATINGS = build_statements(
    form=st.just("pointwise"),
    responses=st.sampled_from([("1",), ("2",)]),
    outcome=st.sampled_from(["a", "abstain", "failed"]),
    score=st.sampled_from([None, 3.5]),
    score_sd=st.sampled_from([None, 0.5]),
)
LISTS = build_statements(
    form=st.just("listwise"),
    responses=st.permutations(["1", "2", "3"]).map(tuple),
    outcome=st.sampled_from(["a", "abstain", "failed"]),
    scores=st.sampled_from([None, (1.0, 0.0, 1.0)]),
    ranking=st.sampled_from([None, ("2", "1", "3")]),
)


def compute_old_id(row: dict[str, Any]) -> str:
    """Compute the id of a question as every version so far has, from a row of the lake."""
    responses = (
        row["listed"]
        if row["form"] == "listwise"
        else [row[name] for name in ("response_a", "response_b") if row[name] is not None]
    )
    return content_id(
        row["prompt_id"],
        row["annotator_id"],
        row["revision"],
        row["form"],
        responses,
        row["shown"],
        row["sample"],
    )


@given(PAIRS)
def test_canonical_order_does_not_change_what_is_said(statement: JudgmentStatement) -> None:
    turned = order_pair(statement)
    assert turned.responses == tuple(sorted(statement.responses))
    assert order_pair(turned) == turned

    def read_meaning(s: JudgmentStatement) -> tuple[Any, ...]:
        a, b = s.responses
        names = {"a": a, "b": b}
        first = None if s.shown is None else names[s.shown[0]]
        probability = None if s.p_a is None else {a: s.p_a, b: 1 - s.p_a}
        margin = None if s.score is None else {a: s.score, b: -s.score}
        return names.get(s.outcome, s.outcome), first, probability, margin

    assert read_meaning(turned) == read_meaning(statement)


@given(st.lists(st.one_of(PAIRS, RATINGS, LISTS), max_size=6))
def test_rows_say_what_the_statements_say_under_the_ids_of_before(
    statements: list[JudgmentStatement],
) -> None:
    table = build_judgment_table(statements, run_id="r")
    assert table.schema == arrow_schema(Judgment)
    rows = table.to_pylist()
    assert len(rows) == len(statements)
    for row, statement in zip(rows, statements, strict=True):
        assert row["judgment_id"] == compute_old_id(row) == make_question_id(order_pair(statement))
        assert row["run_id"] == "r"
        ordered = order_pair(statement)
        for name in set(JudgmentStatement._fields) - {"judgment_id", "responses", "scores", "ranking"}:
            assert row[name] == getattr(ordered, name), name
        for name in ("scores", "ranking"):
            value = getattr(statement, name)
            assert row[name] == (None if value is None else list(value))
        a, b, listed = {
            "pairwise": (*ordered.responses[:2], None),
            "pointwise": (statement.responses[0], None, None),
            "listwise": (None, None, list(statement.responses)),
        }[statement.form]
        assert (row["response_a"], row["response_b"], row["listed"]) == (a, b, listed)


def test_failed_attempts_and_peoples_answers_keep_their_recipes() -> None:
    question = content_id("p", "x", "1", "pairwise", ["1", "2"], "ab", 0)
    assert make_failure_id(question, 2) == content_id(question, "failed", 2)
    # Label Studio's answers, and those of spreadsheets and the terminal.
    assert make_answer_id(("answer", "t", "ann", "digest"), None) == content_id(
        "answer", "t", "ann", "digest", None
    )
    earlier = content_id("t", "ann", "revision", "a", "Because.", None)
    assert make_answer_id(("t", "ann", "revision", "b", None), earlier) == content_id(
        "t", "ann", "revision", "b", None, earlier
    )


def test_an_id_of_its_own_and_columns_from_elsewhere_take_the_place_of_the_statements() -> None:
    statement = JudgmentStatement("p", "x", "human", "1", "pairwise", ("2", "1"), "a", judgment_id="mine")
    assert build_judgment_table([statement], run_id="r")["judgment_id"].to_pylist() == ["mine"]
    table = build_judgment_table(
        [statement], run_id="r", columns={"judgment_id": ["other"], "sample": [4], "supersedes": ["old"]}
    )
    row: dict[str, Any] = table.to_pylist()[0]
    assert (row["judgment_id"], row["sample"], row["supersedes"]) == ("other", 4, "old")
    assert (row["response_a"], row["response_b"], row["outcome"]) == ("1", "2", "b")
    assert isinstance(table, pa.Table)
