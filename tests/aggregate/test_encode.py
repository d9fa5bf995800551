"""Rows to votes: a round trip through the encoder against plain dictionaries, and the errors users see."""

from __future__ import annotations

import contextlib
import subprocess
import sys

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from curate.aggregate.encode import encode_votes
from curate.core.errors import CurateError
from curate.core.resources import find_resource, read_query
from curate.lake.lake import Lake, Location
from curate.records import Judgment, Response, arrow_schema

RESPONSES = pa.table(
    {
        "prompt_id": ["q", "p", "p", "q", "p", "lonely"],
        "response_id": ["r5", "r2", "r1", "r4", "r3", "r9"],
        "model": ["m", None, "m", "n", "m", None],
        "messages": pa.array(
            [
                [{"role": "assistant", "content": [{"type": "text", "text": "x" * n}]}]
                for n in (50, 20, 10, 40, 30, 90)
            ],
            arrow_schema(Response).field("messages").type,
        ),
    }
)
COLUMNS = ("response_a", "response_b", "annotator_id", "kind", "shown", "outcome", "p_a")
ROWS = [
    dict(zip(COLUMNS, row, strict=True))
    for row in (
        ("r4", "r5", "x", "llm", "ab", "a", 0.75),
        ("r3", "r1", "y", "human", "ab", "a", None),
        ("r1", "r2", "x", "llm", None, "tie", None),
        ("r1", "r2", "z", "llm", "ba", "failed", None),
        ("r3", "r2", "x", "llm", "ba", "b", 0.25),
    )
]


ALWAYS = {"prompt_id": "p", "form": "pairwise", "revision": "r", "run_id": "run"}


def judgments(rows=ROWS):
    numbered = [ALWAYS | {"judgment_id": str(k)} | row for k, row in enumerate(rows)]
    return pa.Table.from_pylist(numbered, schema=arrow_schema(Judgment))


def encode(judgments, responses=RESPONSES):
    names = ["silent", *"zyx", *(f"j{k}" for k in range(7))]
    panel = pa.table({"annotator_id": names, "revision": ["r"] * len(names)})
    relations = {"judgments": judgments, "responses": responses, "panel": panel}
    with Lake(duckdb.connect(), Location("", "")) as lake, contextlib.ExitStack() as bound:
        for name, relation in relations.items():
            bound.enter_context(lake.bind(name, relation))
        for name in ("conversation", "pair_statements"):
            lake.rows(find_resource(f"sql/macros/{name}.sql").read_text(encoding="utf-8"))
        lake.rows(read_query("current_judgments"))
        lake.rows(read_query("aggregate_spoken"))
        return encode_votes(lake)


def check(encoded):
    votes = encoded.votes
    assert encoded.prompt_ids.to_pylist() == ["lonely", "p", "q"]
    assert encoded.response_ids.to_pylist() == ["r9", "r1", "r2", "r3", "r4", "r5"]
    assert encoded.models.to_pylist() == [None, "m", None, "m", "n", "m"]
    assert votes.offsets.tolist() == [0, 1, 4, 6]
    assert votes.length.tolist() == [90, 10, 20, 30, 40, 50]
    assert votes.prompt.tolist() == [1, 1, 1, 2]
    assert votes.a.tolist() == [1, 1, 2, 4]
    assert votes.b.tolist() == [2, 3, 3, 5]
    assert votes.outcome.tolist() == [0, -1, 1, 1]  # rows 1 and 4 came the other way round
    assert votes.shown.tolist() == [0, -1, 1, 1]
    assert votes.p_a.tolist() == [0.5, 0.0, 0.75, 0.75]
    assert [votes.annotators[k] for k in votes.annotator] == ["x", "y", "x", "x"]
    assert dict(zip(votes.annotators, votes.human.tolist(), strict=True)) == {"x": False, "y": True}
    assert encoded.n_not_votes == 1


def test_rows_in_any_order_become_sorted_votes():
    check(encode(judgments()))


def test_no_judgments_is_no_votes():
    votes = encode(judgments([])).votes
    assert len(votes) == 0
    assert votes.n_prompts == 3
    assert votes.annotators == ()


def test_no_responses_is_no_votes():
    encoded = encode(judgments([]), RESPONSES.slice(0, 0))
    assert len(encoded.votes) == encoded.votes.n_prompts == encoded.votes.n_responses == 0


def test_who_only_fails_or_abstains_has_no_vote():
    assert encode(judgments([ROWS[0], ROWS[3]])).votes.annotators == ("x",)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"response_b": "nowhere"}, "response_b nowhere is not among the responses"),
        ({"response_b": "r1"}, "r4 and response_b r1 are not two different responses of one prompt"),
        ({"response_b": "r4"}, "r4 and response_b r4 are not two different responses of one prompt"),
        ({"outcome": "left"}, "outcome is left; use one of a, b, tie, abstain, failed"),
        ({"p_a": 1.5}, "p_a is 1.5"),
        ({"outcome": None}, "outcome is None; use one of"),
    ],
)
def test_what_is_wrong_is_named(change, message):
    with pytest.raises(CurateError, match=message):
        encode(judgments([ROWS[0] | change]))


def test_a_response_listed_twice_is_named():
    with pytest.raises(CurateError, match="response_id r5 occurs more than once"):
        encode(judgments(), pa.concat_tables([RESPONSES, RESPONSES.slice(0, 1)]))


def test_a_large_random_table_agrees_with_dictionaries():
    rng = np.random.default_rng(0)
    ids = [f"{rng.integers(2**40):x}-{k}" for k in range(400)]
    responses = pa.table(
        {
            "prompt_id": [f"p{k // 4:03}" for k in range(400)],
            "response_id": ids,
            "model": pa.nulls(400, pa.string()),
            "messages": pa.array(
                [[{"role": "assistant", "content": [{"type": "text", "text": ""}]}]] * 400,
                arrow_schema(Response).field("messages").type,
            ),
        }
    )
    first = rng.integers(0, 100, 5000) * 4
    a, b = first + rng.integers(0, 4, 5000), first + rng.integers(0, 4, 5000)
    a, b = a[a != b], b[a != b]
    outcome = rng.choice(["a", "b", "tie"], len(a))
    columns = ("response_a", "response_b", "annotator_id", "outcome")
    names = [f"j{k}" for k in rng.integers(0, 7, len(a))]
    said = zip([ids[k] for k in a], [ids[k] for k in b], names, outcome.tolist(), strict=True)
    rows = [dict.fromkeys(COLUMNS) | dict(zip(columns, row, strict=True)) for row in said]
    encoded = encode(judgments(rows), responses)
    votes, names = encoded.votes, encoded.response_ids.to_pylist()
    sign = {"a": 1, "b": -1, "tie": 0}
    expected = sorted(
        (min(ids[x], ids[y]), max(ids[x], ids[y]), sign[o] if ids[x] < ids[y] else -sign[o])
        for x, y, o in zip(a, b, outcome, strict=True)
    )
    found = sorted(
        zip([names[k] for k in votes.a], [names[k] for k in votes.b], votes.outcome.tolist(), strict=True)
    )
    assert found == expected
    assert (np.diff(votes.prompt) >= 0).all()


def test_votes_depend_on_the_rows_and_not_on_their_order():
    rng = np.random.default_rng(1)
    rows = [
        {
            "response_a": f"r{rng.integers(1, 3)}",
            "response_b": "r3",
            "annotator_id": f"j{rng.integers(0, 3)}",
            "kind": "llm",
            "shown": str(rng.choice(["ab", "ba"])),
            "outcome": str(rng.choice(["a", "b", "tie"])),
            "p_a": float(rng.choice([0.2, 0.4, 0.9])),
        }
        for _ in range(200)
    ]
    votes = encode(judgments(rows)).votes
    said = (votes.a, votes.annotator, votes.shown, votes.outcome, votes.p_a)
    assert [*zip(*said, strict=True)] == sorted(zip(*said, strict=True))
    for _ in range(5):
        again = encode(judgments([rows[k] for k in rng.permutation(len(rows))])).votes
        assert again.annotators == votes.annotators
        for name in ("prompt", "a", "b", "annotator", "shown", "outcome", "p_a"):
            np.testing.assert_array_equal(getattr(again, name), getattr(votes, name))


def test_what_is_superseded_or_of_no_panel_has_no_vote():
    rows = [
        ROWS[0],
        ROWS[1] | {"supersedes": "0"},
        ROWS[2] | {"revision": "old"},
        ROWS[4] | {"annotator_id": "stranger", "response_a": "unheard of", "outcome": "neither"},
    ]
    encoded = encode(judgments(rows))
    assert encoded.votes.annotators == ("y",)
    assert encoded.votes.outcome.tolist() == [-1]
    assert encoded.n_not_votes == 0


def test_importing_the_package_does_not_load_the_compiler():
    code = "import sys, curate.aggregate, curate.aggregate.votes; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
