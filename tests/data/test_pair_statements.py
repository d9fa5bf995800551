"""What judgments say about pairs, in Python and in SQL: the same, whatever their forms."""

from __future__ import annotations

import math
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.core.resources import find_resource, read_query
from curate.data.judgments import JudgmentStatement, build_judgment_table
from curate.data.pair_statements import PairStatement, list_pair_statements

IDS = ["w", "x", "y", "z"]
SCORES = st.one_of(st.sampled_from([0.0, 1.0, 2.5, -900.0]), st.floats(-1e6, 1e6))
COMMON: dict[str, Any] = {
    "prompt_id": st.sampled_from("pq"),
    "annotator_id": st.sampled_from("jk"),
    "kind": st.sampled_from(["llm", "human"]),
    "revision": st.sampled_from(["1", "2"]),
    "sample": st.integers(0, 1),
}
OUTCOMES: st.SearchStrategy[Any] = st.sampled_from(["a", "a", "a", "abstain", "failed"])


def build_statements(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[JudgmentStatement]:
    """Return statements with drawn fields; the others have their defaults."""
    return st.fixed_dictionaries({**COMMON, **fields}).map(lambda drawn: JudgmentStatement(**drawn))


PAIRS = build_statements(
    form=st.just("pairwise"),
    responses=st.permutations(IDS).map(lambda ids: tuple(ids[:2])),
    outcome=st.sampled_from(["a", "b", "tie", "abstain", "failed"]),
    shown=st.sampled_from(["ab", "ba", None]),
    p_a=st.sampled_from([None, 0.0, 0.25, 0.5, 1.0]),
)
RATINGS = build_statements(
    form=st.just("pointwise"),
    responses=st.sampled_from(IDS).map(lambda response_id: (response_id,)),
    outcome=OUTCOMES,
    score=st.one_of(st.none(), SCORES),
    score_sd=st.one_of(st.none(), st.sampled_from([0.0, 0.5]), st.floats(0, 1e6)),
    asked_as=st.sampled_from([None, None, "pass-fail"]),
)


@st.composite
def draw_list(draw: st.DrawFn) -> JudgmentStatement:
    """Draw a list by scores, by a ranking (that may leave some out), or of which only the ranking is known."""
    listed = tuple(draw(st.permutations(IDS))[: draw(st.integers(2, 4))])
    ranking = tuple(draw(st.permutations(listed))[: draw(st.integers(1, len(listed)))])
    scores = tuple(draw(st.lists(SCORES, min_size=len(listed), max_size=len(listed))))
    what: dict[str, Any] = draw(
        st.sampled_from(
            [
                {"responses": listed, "scores": scores},
                {"responses": listed, "scores": scores, "ranking": ranking},
                {"responses": listed, "ranking": ranking},
                {"responses": (), "ranking": ranking},
            ]
        )
    )
    common = {name: draw(strategy) for name, strategy in COMMON.items()}
    return JudgmentStatement(form="listwise", outcome=draw(OUTCOMES), **common, **what)


def read_view(judgments: list[JudgmentStatement]) -> list[PairStatement]:
    """Return the rows of the view `pairwise_statements` over these judgments."""
    table = build_judgment_table(
        judgments, run_id="r", columns={"judgment_id": [f"{number:03}" for number in range(len(judgments))]}
    )
    with duckdb.connect() as connection:
        connection.register("judgments", table)
        connection.execute("CREATE TEMP TABLE panel AS SELECT DISTINCT annotator_id, revision FROM judgments")
        macro = find_resource("sql/macros/pair_statements.sql").read_text(encoding="utf-8")
        connection.execute(macro)
        connection.execute(read_query("current_judgments"))
        columns = ", ".join(PairStatement._fields).replace(" a, b", " response_a, response_b")
        rows = connection.execute(f"SELECT {columns} FROM pairwise_statements").fetchall()
    return [PairStatement(*row) for row in rows]


def sort_statements(statements: list[PairStatement]) -> list[PairStatement]:
    def make_key(statement: PairStatement) -> tuple[str, float]:
        return repr(statement[:-1]), statement.p_a or 0.0

    return sorted(statements, key=make_key)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(PAIRS, RATINGS, RATINGS, draw_list()), max_size=12))
def test_the_function_and_the_view_say_the_same(judgments: list[JudgmentStatement]) -> None:
    expected, statements = map(sort_statements, (read_view(judgments), list_pair_statements(judgments)))
    assert [statement[:-1] for statement in statements] == [statement[:-1] for statement in expected]
    for statement, other in zip(statements, expected, strict=True):
        assert (statement.p_a is None) == (other.p_a is None)
        assert statement.p_a is None or statement.p_a == pytest.approx(other.p_a, rel=1e-9, abs=1e-12)


def rate(response_id: str, score: float, sample: int = 0, sd: float | None = None) -> JudgmentStatement:
    return JudgmentStatement(
        "p", "j", "llm", "1", "pointwise", (response_id,), "a", score=score, score_sd=sd, sample=sample
    )


def test_samples_of_ratings_are_statements_of_their_own() -> None:
    judgments = [rate("x", 9.0), rate("y", 1.0), rate("x", 2.0, 1), rate("y", 3.0, 1), rate("x", 5.0, 2)]
    statements = list_pair_statements(judgments)
    assert [(statement.sample, statement.outcome) for statement in statements] == [(0, "a"), (1, "b")]
    assert [statement.probability for statement in statements] == [1.0, 0.0]


def test_spreads_of_ratings_give_a_probability() -> None:
    (statement,) = list_pair_statements([rate("y", 3.0, sd=0.8), rate("x", 4.0, sd=0.6)])
    assert (statement.a, statement.b, statement.outcome) == ("x", "y", "a")
    assert statement.probability == pytest.approx(1 / (1 + math.exp(-1.702)))
    (far,) = list_pair_statements([rate("y", 1e300, sd=0.1), rate("x", -1e300, sd=0.1)])
    assert (far.outcome, far.probability) == ("b", 0.0)


def test_what_has_no_verdict_has_no_probability() -> None:
    pair = JudgmentStatement("p", "j", "llm", "1", "pairwise", ("y", "x"), "failed", shown="ab")
    (statement,) = list_pair_statements([pair])
    assert (statement.a, statement.shown, statement.outcome, statement.probability) == (
        "x",
        "ba",
        "failed",
        None,
    )
    silent = JudgmentStatement("p", "j", "llm", "1", "listwise", ("y", "x"), "abstain", scores=(1.0, 2.0))
    assert list_pair_statements([silent]) == []
