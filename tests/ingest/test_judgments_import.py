"""Imported judgments: references, canonical order, samples, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curate.config.ingest import Fields
from curate.lake.lake import Lake
from curate.records import judgment_id
from tests.ingest.samples import Take, assert_reconciled, lines, native, rejected


def said(**changes: Any) -> dict[str, Any]:
    row = {"prompt": "q0", "a": "r0", "b": "r1", "annotator": "ann", "kind": "human", "winner": "a"} | changes
    return {name: value for name, value in row.items() if value is not None}


@pytest.fixture
def ids(lake: Lake, take: Take) -> dict[str, str]:
    """Two prompts with two responses each; keys to the lake's ids."""
    take("responses.jsonl", lines(native(0), native(1)))
    found = dict(lake.rows("SELECT key, prompt_id FROM prompts"))
    query = "SELECT p.key || r.key, response_id FROM responses r JOIN prompts p USING (prompt_id)"
    return found | dict(lake.rows(query))


def judge(take: Take, *rows: Any, name: str = "judgments.jsonl", **options: Any) -> Any:
    return take(name, lines(*rows), kind="judgments", **options).counts


def test_a_statement_is_turned_into_canonical_order(lake: Lake, take: Take, ids: dict[str, str]) -> None:
    rows = [
        said(shown="ab", p_a=0.75, rationale="Because."),
        said(a="r1", b="r0", shown="ab", p_a=0.75, winner="a", annotator="other", kind="llm"),
    ]
    assert judge(take, *rows).rows_kept == 2
    a, b = sorted([ids["q0r0"], ids["q0r1"]])
    r0 = "a" if a == ids["q0r0"] else "b"
    for annotator, kind, preferred, rationale in (
        ("ann", "human", "r0", "Because."),
        ("other", "llm", "r1", None),
    ):
        wins = r0 if preferred == "r0" else {"a": "b", "b": "a"}[r0]
        shown = "ab" if wins == "a" else "ba"  # the preferred one was shown first
        (row,) = lake.arrow("SELECT * FROM judgments WHERE annotator_id = ?", [annotator]).to_pylist()
        expected = {
            "judgment_id": judgment_id(
                prompt=ids["q0"],
                annotator=annotator,
                revision="imported",
                form="pairwise",
                responses=(a, b),
                shown=shown,  # type: ignore[arg-type]
            ),
            "prompt_id": ids["q0"],
            "annotator_id": annotator,
            "kind": kind,
            "form": "pairwise",
            "response_a": a,
            "response_b": b,
            "shown": shown,
            "outcome": wins,
            "p_a": 0.75 if wins == "a" else 0.25,
            "score": None,
            "ranking": None,
            "rationale": rationale,
            "raw": None,
            "revision": "imported",
            "sample": 0,
            "tokens_in": 0,
            "tokens_out": 0,
            "seconds": 0.0,
            "part": "judgments.jsonl",
            **dict.fromkeys(["score_sd", "listed", "scores", "supersedes", "aspect", "tied_as", "asked_as"]),
        }
        assert {name: value for name, value in row.items() if name != "run_id"} == expected


def test_the_lakes_own_ids_are_references_too(lake: Lake, take: Take, ids: dict[str, str]) -> None:
    counts = judge(take, said(prompt=ids["q0"], a=ids["q0r0"], b="r1"), said(), said(prompt=ids["q0"]))
    assert (counts.rows_kept, counts.rows_duplicate) == (1, 2)


REFUSED: list[tuple[dict[str, Any], str]] = [
    (said(prompt="q9"), "No prompt in the lake has the id 'q9'."),
    (said(b="r9"), "`b`: prompt 'q0' has no response 'r9' in the lake."),
    (said(a="r9"), "`a`: prompt 'q0' has no response 'r9' in the lake."),
    (said(b="r0"), "`a` and `b` are the same response."),
    (said(p_a=0.4), "`winner` is 'a', but `p_a` = 0.4 says the opposite."),
    (said(winner="b", p_a=0.6), "`winner` is 'b', but `p_a` = 0.6 says the opposite."),
    (said(winner="failed", p_a=0.5), "an annotator without a verdict has no probability."),
    (said(p_a=1.5), "`p_a` is 1.5, but must be between 0 and 1."),
    (said(p_a="0.9"), "`p_a` is a string, but should be a number."),
    (said(winner="A"), "`winner` is 'A', but must be 'a', 'b', 'tie', 'abstain' or 'failed'."),
    (said(winner=None), "`winner` is missing."),
    (said(annotator=""), "`annotator` is empty."),
    (said(kind="god"), "`kind` is 'god', but must be 'llm',"),
    (said(shown="first"), "`shown` is 'first', but must be 'ab' or 'ba'."),
    (said(rationale="\0"), "`rationale` holds a NUL character"),
    (said(extra=1), "`extra` is no known key."),
]


@pytest.mark.parametrize(("row", "reason"), REFUSED)
def test_bad_judgments_are_quarantined(
    row: dict[str, Any], reason: str, lake: Lake, take: Take, ids: dict[str, str]
) -> None:
    counts = judge(take, said(), row, said(winner="tie", p_a=0.9))
    assert (counts.rows_kept, counts.rows_dropped) == (2, 1)
    ((line, found),) = rejected(lake)
    assert line == 2
    assert reason in found
    assert_reconciled(lake)


def test_an_ambiguous_reference_is_quarantined(lake: Lake, take: Take, ids: dict[str, str]) -> None:
    """Two sets call different prompts `q0`; responses of only one of them have the name `only`."""
    twin = native(0, prompt="Another question?")
    twin["responses"] = [*twin["responses"], {"id": "only", "text": "x"}]
    take("twin.jsonl", lines(twin))
    own = said(prompt=ids["q0"], annotator="exact")
    counts = judge(take, said(), said(b="only"), own)
    assert (counts.rows_kept, counts.rows_dropped) == (2, 1)
    assert "fit 2 pairs of responses in the lake: use the lake's own ids" in rejected(lake)[0][1]


def test_different_statements_are_samples_and_equal_ones_duplicates(
    lake: Lake, take: Take, ids: dict[str, str]
) -> None:
    rows = [
        said(),
        said(winner="b"),
        said(),
        said(rationale="x"),
        said(shown="ab"),
        said(a="r1", b="r0", winner="b"),
    ]
    counts = judge(take, *rows, chunk=2)
    assert (counts.rows_kept, counts.rows_duplicate) == (4, 2)
    query = "SELECT shown IS NULL, sample, outcome, rationale FROM judgments ORDER BY ALL"
    found = lake.rows(query)
    assert [row[:2] for row in found] == [(False, 0), (True, 0), (True, 1), (True, 2)]
    digest = lake.digest("judgments", "judgment_id")

    counts = judge(take, *rows[::-1], name="again.jsonl")  # in another order, at another place
    assert (counts.rows_kept, counts.rows_duplicate) == (0, 6)
    assert lake.digest("judgments", "judgment_id") == digest
    assert judge(take, said(winner="tie"), name="more.jsonl").rows_kept == 1
    assert lake.rows("SELECT sample FROM judgments WHERE outcome = 'tie'") == [(3,)]
    assert lake.rows("SELECT count(*), count(DISTINCT judgment_id) FROM judgments") == [(5, 5)]


@settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_chunk_size_does_not_matter(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    from curate.config.ingest import Source
    from curate.config.project import Config
    from curate.ingest import ingest_judgments, ingest_responses
    from curate.lake.lake import Location

    rows = data.draw(
        st.lists(
            st.builds(
                lambda a, b, winner, shown: said(a=a, b=b, winner=winner, shown=shown),
                st.sampled_from(["r0", "r1"]),
                st.sampled_from(["r0", "r1"]),
                st.sampled_from(["a", "b", "tie"]),
                st.sampled_from([None, "ab", "ba"]),
            ),
            max_size=8,
        )
    )
    contents = []
    for size in (1, 3, 100):
        folder = tmp_path_factory.mktemp("lake")
        (folder / "r.jsonl").write_bytes(lines(native(0)))
        (folder / "j.jsonl").write_bytes(lines(*rows))
        with Lake.open(Location.under(folder / "lake")) as lake:
            ingest_responses(lake, [Source(source=str(folder / "r.jsonl"))], Config())
            source = Source(source=str(folder / "j.jsonl"), kind="judgments", chunk=size)
            ingest_judgments(lake, [source], Config())
            contents.append(lake.rows("SELECT * EXCLUDE (run_id, part) FROM judgments ORDER BY judgment_id"))
    assert contents[0] == contents[1] == contents[2]


def test_judgments_that_came_too_early_are_read_again(lake: Lake, take: Take) -> None:
    assert judge(take, said(), said(prompt="q9")).rows_dropped == 2
    take("responses.jsonl", lines(native(0)))
    counts = take("judgments.jsonl", kind="judgments").counts
    assert (counts.rows_kept, counts.rows_dropped) == (1, 1)
    assert [line for line, _ in rejected(lake)] == [2]  # no longer the first
    assert take("judgments.jsonl", kind="judgments").skipped


def test_judgments_in_csv_under_other_names(lake: Lake, take: Take, ids: dict[str, str]) -> None:
    fields = Fields(
        prompt="item", a="left", b="right", annotator="worker", winner="vote", winners={"1": "a", "2": "b"}
    )
    content = b"item,left,right,worker,vote\nq0,r0,r1,7,1\nq0,r0,r1,8,2\nq1,r1,r0,7,0\nq1,r1,r0,,1\n"
    counts = take("votes.csv", content, kind="judgments", fields=fields, annotator="crowd").counts
    assert (counts.rows_kept, counts.rows_dropped) == (3, 1)
    assert rejected(lake) == [(4, "`vote` is '0', but must be one of 1, 2, a, b, tie, abstain, failed.")]
    found = lake.rows("SELECT annotator_id, kind FROM judgments ORDER BY 1")
    assert found == [("7", "human"), ("8", "human"), ("crowd", "human")]  # a column `worker` names people


def test_native_judgments_in_csv(lake: Lake, take: Take, ids: dict[str, str]) -> None:
    content = b"prompt,a,b,annotator,kind,winner,p_a,shown\nq0,r0,r1,x,llm,a,0.9,\nq1,r0,r1,x,llm,a,high,ab\n"
    counts = take("votes.csv", content, kind="judgments").counts
    assert (counts.rows_kept, counts.rows_dropped) == (1, 1)
    assert rejected(lake) == [(3, "`p_a` is a string, but should be a number.")]
    assert lake.rows("SELECT shown, greatest(p_a, 1 - p_a) FROM judgments") == [(None, 0.9)]


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1.7"])
def test_a_vote_whose_probability_is_none_goes_to_quarantine(
    lake: Lake, take: Take, ids: dict[str, str], value: str
) -> None:
    rows = f"prompt,a,b,annotator,kind,winner,p_a\nq0,r0,r1,ann,imported,a,{value}\nq0,r0,r1,other,imported,a,0.75\n"
    counts = take("votes.csv", rows.encode(), kind="judgments").counts
    assert (counts.rows_kept, counts.dropped) == (1, {"wrong value": 1})
    assert lake.rows("SELECT annotator_id FROM judgments") == [("other",)]
    assert f"`p_a` is {value}, but must be between 0 and 1" in str(
        lake.value("SELECT reason FROM quarantine")
    )
