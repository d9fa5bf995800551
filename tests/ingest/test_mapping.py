"""The mapping language, key by key: what a row says with it, and why a row or a mapping is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from curate.config.ingest import Fields, Join, Source
from curate.core.errors import CurateError
from curate.ingest.decoders import make_responses_decoder
from curate.ingest.rejection import RowError
from curate.ingest.rows import Row
from curate.lake.lake import Lake
from curate.records import judgment_id
from tests.ingest.samples import Take, lines, rejected

PAIR = {"prompt": "p", "a": "x", "b": "y"}


def read(fields: dict[str, Any], row: dict[str, Any], **options: Any) -> Row:
    source = Source.model_validate({"source": "s", "fields": fields, **options})
    decoded = make_responses_decoder(source, name="s")(row)
    assert isinstance(decoded, list)
    return decoded[0]


def verdict(fields: dict[str, Any], row: dict[str, Any]) -> tuple[Any, ...]:
    (only,) = read({"prompt": "prompt", "a": "a", "b": "b", **fields}, PAIR | row).verdicts
    return only.winner, only.margin, only.tied_as


SAYS: list[tuple[dict[str, Any], dict[str, Any], tuple[Any, ...]]] = [
    ({"winner": "w", "winners": {1: "a", 2: "b"}}, {"w": "2.0"}, ("b", None, None)),
    ({"winner": "w", "winners": {True: "a", False: "b"}}, {"w": "yes"}, ("a", None, None)),
    ({"winner": "w", "winners": {1: "a", 0: "b"}}, {"w": True}, ("a", None, None)),
    ({"winner": "w", "winners": {"bad": "both_bad"}}, {"w": "bad"}, ("tie", None, "both-bad")),
    ({"winner": {"l": "a", "r": "b", "n": "both_good"}}, {"l": 0, "r": 0, "n": 1}, ("tie", None, "both-good")),
    ({"winner": "w", "scale": {"a": 1, "b": 7}}, {"w": 6}, ("b", -2.0, None)),
    ({"winner": "w", "scale": {"a": 3, "b": -3}}, {"w": "1"}, ("a", 1.0, None)),
    ({"winner": "w", "winners": {-2: "a", -1: "a", 0: "tie", 1: "b", 2: "b"}}, {"w": -2}, ("a", 2.0, None)),
    ({"winner": "w", "winners": {1: "a", 2: "b", 3: "tie"}}, {"w": 1}, ("a", None, None)),  # names, not steps
    ({"score_a": "s.0", "score_b": "s.1"}, {"s": "[2, 5]"}, ("b", -3.0, None)),
    ({"score_a": "s[0]", "score_b": "s[-1]", "best": "low"}, {"s": [2, 5]}, ("a", 3.0, None)),
    ({"score_a": "m", "score_b": "n", "scores": {"good": 1, "poor": 0}}, {"m": "poor", "n": "good"}, ("b", -1.0, None)),
    ({"winner": "w", "margin": "m"}, {"w": "b", "m": 4}, ("b", -4.0, None)),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "row", "says"), SAYS)
def test_what_a_row_says_of_two(fields: dict[str, Any], row: dict[str, Any], says: tuple[Any, ...]) -> None:
    assert verdict(fields, row) == says


@pytest.mark.parametrize(("status", "votes"), [("Rejected", 0), ("Approved", 1), (None, 1)])
def test_unless_leaves_out_what_has_a_value(status: str | None, votes: int) -> None:
    fields = {"prompt": "prompt", "a": "a", "b": "b", "winner": "w", "winners": {"x": "a"}}
    read_row = read(fields | {"unless": {"status": "Rejected"}}, PAIR | {"w": "x", "status": status})
    assert len(read_row.verdicts) == votes
    assert len(read_row.responses) == 2


WRONG: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"winner": {"l": "a", "r": "b"}}, {"l": 1, "r": 1}, "Exactly one of l, r must be 1, not 2"),
    ({"winner": "w", "scale": {"a": -3, "b": 3}}, {"w": 4}, "`w` is 4, but its scale goes from -3 to 3"),
    (
        {"winner": "w", "score_a": "m", "score_b": "n"},
        {"w": "a", "m": 1, "n": 2},
        "`w` says a, but `m` and `n` say",
    ),
    ({"score_a": "m", "score_b": "n"}, {"m": 1}, "`m` or `n` is missing"),
    ({"winner": "w", "shown": "o"}, {"w": "a", "o": "left"}, "`o` is 'left', but must be 'ab' or 'ba'"),
    (
        {"verdicts": [{"items": "people", "winner": "v"}]},
        {"people": "none"},
        "`people` is a string, but should be an",
    ),
]


@pytest.mark.parametrize(("fields", "row", "reason"), WRONG)
def test_a_row_that_contradicts_its_mapping_is_rejected(
    fields: dict[str, Any], row: dict[str, Any], reason: str
) -> None:
    with pytest.raises(RowError) as caught:
        verdict(fields, row)
    assert reason in caught.value.reason


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"chosen": "c", "rejected": "r", "response_score": "s"}, "reads no scores"),
        ({"chosen": "c", "rejected": "r", "ranking": "k"}, "`ranking` does nothing"),
        ({"response": "c", "best_response": "k"}, "`best_response` does nothing"),
        ({"chosen": "c", "rejected": "r", "worst_response": "k"}, "`worst_response` does nothing"),
        (
            {"a": "a", "b": "b", "verdicts": [{"best_response": "k"}]},
            "`verdicts.0.best_response` does nothing",
        ),
        ({"responses": "c", "places_from": 0}, "`places_from` does nothing"),
        ({"responses": "r", "p_a": "p"}, "`p_a` does nothing"),
        ({"a": "a", "b": "b", "winner": {"x": "a"}, "winners": {"y": "b"}}, "leave out `winners`"),
    ],
)
def test_a_mapping_of_which_a_part_does_nothing_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(CurateError, match=message):
        read(fields, PAIR)


def test_a_column_for_each_model_and_each_judge() -> None:
    fields = {
        "prompt": "q",
        "responses": {"m1": "one", "m2": "two", "m3": "three"},
        "verdicts": [
            {"ranking": "ann", "name": "ann", "kind": "human"},
            {"response_score": "stars", "name": "bot", "kind": "llm", "aspect": "style"},
        ],
    }
    row = read(
        fields, {"q": "p", "one": "x", "two": "y", "three": None, "ann": [["m2"], ["m1"]], "stars": [5, 1]}
    )
    assert [(response.model, response.text) for response in row.responses] == [("m1", "x"), ("m2", "y")]
    assert [(v.annotator, v.kind, v.winner, v.margin, v.aspect) for v in row.verdicts] == [
        ("ann", "human", "b", None, None),
        ("bot", "llm", "a", 4.0, "style"),
    ]


THREE = {"q": "p", "r": ["x", "y", "z"]}
COLUMNS = {"q": "p", "one": "x", "two": None, "three": "z"}


@pytest.mark.parametrize(
    ("fields", "row", "better"),
    [
        ({"ranking": "k", "places_from": 0}, THREE | {"k": [2, 0, 1]}, ["zx", "zy", "xy"]),
        ({"ranking": "k", "places_from": 1}, THREE | {"k": "[3, 1, 2]"}, ["zx", "zy", "xy"]),
        ({"ranking": "k", "places_from": 0}, THREE | {"k": "2 > 0 = 1"}, ["zx", "zy"]),
        ({"best_response": "k", "places_from": 0}, THREE | {"k": 1}, ["yx", "yz"]),
        ({"best_response": "k", "places_from": 1}, THREE | {"k": "1"}, ["xy", "xz"]),
        ({"best_response": "k"}, THREE | {"k": "z "}, ["zx", "zy"]),
        ({"worst_response": "k"}, THREE | {"k": "z "}, ["xz", "yz"]),
        (
            {"best_response": "k", "worst_response": "w", "places_from": 0},
            THREE | {"k": 1, "w": 2},
            ["yx", "yz", "xz"],
        ),
        ({"best_response": "k", "worst_response": "w"}, THREE | {"k": None, "w": "x"}, ["yx", "zx"]),
        ({"best_response": "k"}, THREE | {"k": None}, []),
        ({"best_response": "k", "responses": {"m": "one", "n": "three"}}, COLUMNS | {"k": "n"}, ["zx"]),
        (
            {"best_response": "k", "places_from": 1, "responses": ["one", "two", "three"]},
            COLUMNS | {"k": 3},
            ["zx"],
        ),
        (
            {"ranking": "k", "responses": {"m": "one", "n": "three"}},
            COLUMNS | {"k": "n > m"},
            ["zx"],
        ),
        (
            {"response_score": ["s1", "s2", "s3"], "responses": ["one", "two", "three"]},
            COLUMNS | {"s1": 2, "s2": 9, "s3": 4},
            ["zx"],
        ),
        (
            {
                "response_score": {"n": "s3", "m": "s1"},
                "responses": {"m": "one", "n": "three"},
                "best": "low",
            },
            COLUMNS | {"s1": 2, "s3": 4},
            ["xz"],
        ),
    ],
)
def test_rankings_the_best_and_scores_in_columns_say_which_is_better(
    fields: dict[str, Any], row: dict[str, Any], better: list[str]
) -> None:
    read_row = read({"prompt": "q", "responses": "r", **fields}, row)
    texts = [response.text for response in read_row.responses]
    said = [
        f"{texts[v.a]}{texts[v.b]}" if v.winner == "a" else f"{texts[v.b]}{texts[v.a]}"
        for v in read_row.verdicts
        if v.winner != "tie"
    ]
    assert sorted(said) == sorted(better)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"ranking": "k"}, "`places_from: 0` (or 1)"),
        ({"ranking": "k", "places_from": 1}, "has no response there, counted from 1"),
        ({"best_response": "k"}, "should name a response"),
        ({"best_response": "w"}, "names 'w', which is no response of the row"),
        ({"best_response": "x", "worst_response": "x"}, "`x` and `x` name the same response"),
    ],
)
def test_what_names_no_response_is_rejected(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(RowError) as caught:
        read({"prompt": "q", "responses": "r", **fields}, THREE | {"k": [0, 1, 2], "w": "w", "x": "x"})
    assert reason in caught.value.reason


def test_a_name_of_several_responses_ranks_all_of_them_and_is_no_single_best() -> None:
    row = {"q": "p", "r": [{"text": t, "model": m} for t, m in (("x", "m1"), ("y", "m2"), ("z", "m1"))]}
    fields = {"prompt": "q", "responses": "r", "response_model": "model"}
    ranked = read({**fields, "ranking": "k"}, row | {"k": ["m1", "m2"]}).verdicts
    assert [(v.a, v.b, v.winner) for v in ranked] == [(0, 1, "a"), (0, 2, "tie"), (1, 2, "b")]
    with pytest.raises(RowError, match="2 responses are called so"):
        read({**fields, "best_response": "k"}, row | {"k": "m1"})


@pytest.mark.parametrize(
    "fields",
    [
        {"responses": ["one", "two"], "response_score": ["s1"]},
        {"responses": {"m": "one"}, "response_score": {"n": "s1"}},
        {"responses": "r", "response_score": ["s1"]},
    ],
)
def test_scores_in_columns_belong_to_columns_of_responses(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="response_score"):
        Fields.model_validate(fields)


def test_people_of_a_list_who_have_no_names_are_told_apart() -> None:
    fields = {
        "prompt": "prompt",
        "a": "a",
        "b": "b",
        "verdicts": [{"items": "votes", "winner": ".", "name": "crowd"}, {"winner": "$.lead", "shown": "ba"}],
    }
    row = read(fields, PAIR | {"votes": ["a", "a", "b"], "lead": None})
    assert [(v.annotator, v.winner) for v in row.verdicts] == [
        ("crowd-1", "a"),
        ("crowd-2", "a"),
        ("crowd-3", "b"),
    ]


def test_every_better_one_beats_every_worse_one() -> None:
    row = read(
        {"prompt": "prompt", "chosen": "good[*]", "rejected": "bad[*]"},
        PAIR | {"good": ["1", "2"], "bad": ["3"]},
    )
    assert [(v.a, v.b, v.winner) for v in row.verdicts] == [(0, 2, "a"), (1, 2, "a")]


def test_roles_under_other_names_and_turns_side_by_side() -> None:
    asked = [{"role": role, "content": "q"} for role in ("user", "critic", "user")]
    row = read(
        {"prompt": "prompt", "a": "a", "b": "b", "roles": {"critic": "assistant"}}, PAIR | {"prompt": asked}
    )
    assert [message.role for message in row.prompt if not isinstance(message, str)] == [
        "user",
        "assistant",
        "user",
    ]
    turns = read({"prompt": "q", "a": "x", "b": "y"}, {"q": ["1?", "2?"], "x": ["1", "2"], "y": ["1", "3"]})
    assert [message.role for message in turns.prompt if not isinstance(message, str)] == [
        "user",
        "assistant",
        "user",
    ]
    assert [response.text for response in turns.responses] == ["2", "3"]


def join(**options: Any) -> dict[str, Any]:
    joined = [Join(source="q.jsonl", by="qid", name="q")]
    return {
        "join": joined,
        "fields": Fields(prompt="q.text", response="answer", response_model="m"),
        **options,
    }


def test_rows_of_two_files_meet_by_a_key(lake: Lake, take: Take, tmp_path: Path) -> None:
    (tmp_path / "q.jsonl").write_bytes(lines({"qid": 1, "text": "What?"}, {"qid": 2, "text": "Who?"}))
    take(
        "a.jsonl",
        lines({"qid": "1", "answer": "x", "m": "m1"}, {"qid": 3, "answer": "y", "m": "m1"}),
        **join(),
    )
    assert lake.rows("SELECT messages[1].content[1].text FROM prompts") == [("What?",)]
    assert rejected(lake) == [(2, "No row of q.jsonl has the `qid` '3'.")]
    (tmp_path / "q.jsonl").write_bytes(lines({"qid": 1, "text": "What?"}, {"qid": 1, "text": "Who?"}))
    with pytest.raises(CurateError, match="two different rows have the `qid` '1'"):
        take("a.jsonl", **join())


def test_odd_characters_in_json_of_a_list_are_that_row_s_quarantine(lake: Lake, take: Take) -> None:
    texts = [json.dumps([{"t": text, "s": 1}, {"t": "z", "s": 0}]) for text in ("x", "half \ud83d")]
    fields = Fields(prompt="q", responses="list", response_text="t", response_score="s")
    take("x.jsonl", lines(*({"q": "p", "list": text, "note": 1} for text in texts)), fields=fields)
    assert [reason for _, reason in rejected(lake)] == [
        "`list[0].t` holds a lone surrogate, which the lake's files cannot store."
    ]
    assert lake.value("SELECT count(*) FROM judgments") == 1


def test_a_margin_supersedes_what_an_older_version_had_without_it(lake: Lake, take: Take) -> None:
    row = {"prompt": "p", "chosen": "x", "rejected": "y", "score_chosen": 9, "score_rejected": 2}
    ignored = Fields(ignore=["score_chosen", "score_rejected"])
    take("x.jsonl", lines(row), format="trl-preference", fields=ignored, annotator="j")
    take("x.jsonl", format="trl-preference", annotator="j")
    found = lake.rows("SELECT abs(score), supersedes IS NOT NULL FROM judgments ORDER BY ALL")
    assert found == [(7.0, True), (None, False)]


def test_the_id_of_a_judgment_is_as_before_unless_it_has_an_aspect() -> None:
    def identify(aspect: str | None) -> str:
        return judgment_id(
            prompt="p", annotator="n", revision="r", form="pairwise", responses=("a", "b"), aspect=aspect
        )

    assert identify(None) == "fde4fff257a05734c04c916a2d14d822"
    assert identify("safety") != identify(None)
