"""Rubrics as files and rows: what identifies them, what is refused, and that nothing is lost on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.core.errors import CurateError
from curate.data.rubric import (
    Criterion,
    Rubric,
    build_rubric_row,
    format_rubric,
    parse_rubric,
    read_rubric,
    write_rubric,
)
from curate.lake.lake import Lake, Location
from curate.records import CriterionVerdict, RubricRow, arrow_schema

TEXT = """
name: helpful
criteria:
- {name: answers-first, text: "The response answers before it says anything else.", weight: 2}
- {name: hedging, text: The response hedges., kind: feature, feature: hedges, scale: 0.5, weight: -1}
"""

_slugs = st.from_regex(r"[a-z0-9]{1,8}(-[a-z0-9]{1,5})?", fullmatch=True)
_words = st.text(min_size=1, max_size=40).filter(lambda text: bool(text.strip()))
_criteria = st.builds(
    Criterion,
    name=_slugs,
    text=_words,
    kind=st.sampled_from(["hard", "principle"]),
    weight=st.floats(-10, 10),
    reason=st.none() | _words,
    examples=st.lists(_words, max_size=2).map(tuple),
)
_rubrics = st.builds(
    Rubric,
    name=_slugs,
    about=st.none() | _words,
    criteria=st.lists(_criteria, min_size=1, max_size=5, unique_by=lambda criterion: criterion.name).map(
        tuple
    ),
)


def take_rubric_fields(row: dict[str, Any]) -> dict[str, Any]:
    """Return what a row of `rubrics` says of the rubric itself."""
    criteria = [
        {name: value for name, value in one.items() if name != "criterion_id"} for one in row["criteria"]
    ]
    return {name: row[name] for name in Rubric.model_fields} | {"criteria": criteria}


@given(_rubrics)
def test_files_and_rows_give_back_the_rubric(rubric: Rubric) -> None:
    assert parse_rubric(format_rubric(rubric, comment="a: [\nb"), "x") == rubric
    row = build_rubric_row(rubric, origin="test", run_id="r").model_dump()
    assert Rubric.model_validate(take_rubric_fields(row)) == rubric


@given(_rubrics, st.floats(-10, 10))
def test_weights_change_the_revision_and_ask_no_verifier_again(rubric: Rubric, weight: float) -> None:
    first, *rest = rubric.criteria
    other = rubric.model_copy(update={"criteria": (first.model_copy(update={"weight": weight}), *rest)})
    assert [c.criterion_id for c in other.criteria] == [c.criterion_id for c in rubric.criteria]
    assert (other.revision == rubric.revision) == (weight == first.weight)


def test_what_explains_a_criterion_does_not_identify_it() -> None:
    rubric = parse_rubric(TEXT, "x")
    explained = rubric.model_copy(
        update={
            "about": "why",
            "version": 3,
            "criteria": tuple(c.model_copy(update={"reason": "since"}) for c in rubric.criteria),
        }
    )
    assert Rubric(**explained.model_dump()).revision == rubric.revision
    assert parse_rubric(TEXT.replace("The response hedges", "It hedges"), "x").revision != rubric.revision


def test_score_is_a_weighted_mean_of_what_is_known() -> None:
    rubric = parse_rubric(TEXT, "x")
    assert rubric.score({"answers-first": 1.0, "hedging": 0.5}) == pytest.approx((2 - 1) / 3)
    assert rubric.score({"answers-first": 0.25}) == pytest.approx(0.25)
    assert rubric.score({"hedging": float("nan")}) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a", "x is no rubric"),
        ("name: helpful", "x: `criteria` is missing"),
        ("name: Help!\ncriteria: [{name: a, text: b}]", "x: `name` is 'Help!'"),
        (
            "name: a\ncriteria: [{name: a, text: b, wieght: 1}]",
            "unknown key `criteria.0.wieght`: did you mean `weight`?",
        ),
        ("name: a\ncriteria: [{name: a, text: b}, {name: a, text: c}]", "two criteria have the name 'a'"),
        ("name: a\ncriteria: [{name: a, text: b, kind: feature}]", "names its `feature`"),
        ("name: a\ncriteria: [{name: a, text: b, feature: words}]", "no other does"),
        ("name: a\ncriteria: [{name: a, text: b, weight: .nan}]", "`criteria.0.weight`"),
        ("name: a\ncriteria: []", "`criteria`"),
    ],
)
def test_refusals_name_the_file_and_the_key(text: str, message: str) -> None:
    with pytest.raises(CurateError) as refusal:
        parse_rubric(text, "x")
    assert message in str(refusal.value)


def test_files_are_read_as_they_were_written(tmp_path: Path) -> None:
    rubric = parse_rubric(TEXT, "x")
    path = tmp_path / "rubrics" / "helpful.yaml"
    write_rubric(path, rubric, comment="kept for people")
    assert path.read_text().startswith("# kept for people\nname: helpful\n")
    assert read_rubric(path) == rubric
    with pytest.raises(CurateError, match="There is no rubric at"):
        read_rubric(tmp_path / "none.yaml")


def test_the_lake_keeps_rubrics_and_verdicts(tmp_path: Path) -> None:
    import pyarrow as pa

    rubric = parse_rubric(TEXT, "x")
    row = build_rubric_row(rubric, origin="test", run_id="r", details='{"pairs": 3}')
    verdict = CriterionVerdict(
        verdict_id="v", criterion_id=rubric.criteria[0].criterion_id, criterion="answers-first", prompt_id="p",
        response_id="q", annotator_id="j", kind="llm", outcome="satisfied", p_satisfied=0.75, revision="1", run_id="r",
    )  # fmt: skip
    with Lake.open(Location.under(tmp_path / "lake")) as lake:
        with lake.write("test") as writer:
            for table, record in (("rubrics", row), ("criterion_verdicts", verdict)):
                schema = arrow_schema(type(record))
                writer.append(table, pa.Table.from_pylist([record.model_dump()], schema=schema))
        (read,) = lake.arrow("SELECT * FROM rubrics").to_pylist()
        assert (
            Rubric.model_validate(take_rubric_fields(RubricRow.model_validate(read).model_dump())) == rubric
        )
        (read,) = lake.arrow("SELECT * FROM criterion_verdicts").to_pylist()
        assert CriterionVerdict.model_validate(read) == verdict
