"""Verdicts held against labels: what is kept, what is dropped and why, wherever the verdicts come from."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curate.config.rubric import RubricVerification
from curate.core.errors import CurateError
from curate.data.rubric import Criterion, read_rubric
from curate.rubric.annotated_pairs import read_annotated_pairs, write_annotated_pairs
from curate.rubric.lint import restates_label
from curate.rubric.matrix import CriterionMatrix
from curate.rubric.naming import name_criteria
from curate.rubric.redundancy import compare_verdicts, compare_words, find_repeats
from curate.rubric.selected import select_rubric_criteria
from curate.rubric.selection import SelectionOptions
from curate.rubric.verification import verify_criteria
from tests.rubric.samples import make_pairs, run, write_rows

TEXTS = {
    "sound": "The response names its source.",
    "noise": "The response mentions the weather.",
    "against": "The response hedges all over.",
    "twin": "The response cites where it has it from.",
    "label": "The response is better than the other one.",
    "rare": "The response has a poem inside.",
}


def make_matrix(number: int = 200, *, ties: int = 0) -> CriterionMatrix:
    rng = np.random.default_rng(0)
    sound = np.where(rng.random(number) < 0.85, 1.0, -1.0)
    columns = {
        "sound": sound,
        "noise": rng.choice([-1.0, 0.0, 1.0], number),
        "against": np.where(rng.random(number) < 0.8, -1.0, 1.0),
        "twin": np.where(rng.random(number) < 0.95, sound, 0.0),
        "label": np.ones(number),
        "rare": np.where(np.arange(number) == 3, 1.0, 0.0),
    }
    return CriterionMatrix(
        pairs=make_pairs(number, ties=ties),
        criteria=tuple(
            Criterion(name=name, text=text, weight=-1.0 if name == "against" else 1.0)
            for name, text in TEXTS.items()
        ),
        differences=np.stack(list(columns.values()), axis=1),
        failed={"noise": 3},
        people={"sound": (9, 10)},
    )


def test_each_criterion_is_kept_or_dropped_for_a_reason() -> None:
    check = verify_criteria(make_matrix(), RubricVerification(consistency=0.6))
    problems = {row.name: row.problem for row in check.criteria}
    assert problems["sound"] is None
    assert problems["against"] is None  # its weight is negative, and its verdicts go against the labels
    assert problems["label"] == "restates the label"
    assert problems["twin"] is not None
    assert problems["twin"].startswith("repeats sound (verdicts alike by 0.9")
    assert problems["rare"] == "tells the responses apart in 0.5% of the pairs only"
    assert problems["noise"] is not None
    assert problems["noise"].startswith("agrees with")
    rows = {row.name: row for row in check.criteria}
    assert rows["sound"].people == (9, 10)
    assert rows["noise"].failed == 3
    assert rows["sound"].consistency is not None
    assert rows["sound"].consistency.value == pytest.approx((make_matrix().differences[:, 0] > 0).mean())
    assert check.gain.low is not None
    assert check.gain.low > 0


def test_ties_are_left_out_and_counted() -> None:
    check = verify_criteria(make_matrix(50, ties=10))
    assert (check.pairs, check.ties) == (50, 10)
    assert all(row.accuracy.n == 40 for row in check.criteria)


def test_accuracy_is_what_a_count_gives() -> None:
    matrix = make_matrix(60)
    check = verify_criteria(matrix)
    for column, row in enumerate(check.criteria):
        values = matrix.differences[:, column] * (-1 if row.name == "against" else 1)
        credit = [1.0 if value > 0 else 0.5 if value == 0 else 0.0 for value in values]
        assert row.accuracy.value == pytest.approx(sum(credit) / len(credit))
        assert row.coverage == pytest.approx(np.mean(values != 0))


def test_selection_takes_few_with_signs_and_reasons() -> None:
    full, kept = make_matrix(300), [0, 1, 2, 3, 5]
    matrix = replace(
        full,
        criteria=tuple(full.criteria[column] for column in kept),
        differences=full.differences[:, kept],
    )
    selected = select_rubric_criteria(
        matrix, SelectionOptions(halvings=20, resamples=60), name="mine", source="test"
    )
    assert selected.rubric is not None
    weights = {criterion.name: criterion.weight for criterion in selected.rubric.criteria}
    assert weights["sound"] > 0 or weights["twin"] > 0
    assert weights["against"] < 0
    assert not {"noise", "rare"} & set(weights)
    assert all(
        criterion.reason and "pairs that it tells apart" in criterion.reason
        for criterion in selected.rubric.criteria
    )


def test_likeness_of_verdicts_and_words() -> None:
    differences = np.array([[1.0, 1.0, np.nan], [-1.0, -1.0, 1.0], [1.0, 1.0, 0.0]] * 10)
    likeness = compare_verdicts(differences)
    assert likeness[0, 1] == pytest.approx(1.0)
    assert likeness[0, 2] == pytest.approx(-1.0 / np.sqrt(2.0))
    assert compare_words(["a b c", "a b d"])[0, 1] == pytest.approx(0.5)
    repeats = find_repeats(differences, ["x", "y", "z"], [1, 0, 2], threshold=0.9)
    assert {column: repeat.of for column, repeat in repeats.items()} == {0: 1}
    vectors = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]], np.float32)
    repeats = find_repeats(
        np.zeros((3, 3)), ["x", "y", "z"], [0, 1, 2], threshold=0.9, embed=lambda _: vectors
    )
    assert {column: (repeat.of, repeat.by) for column, repeat in repeats.items()} == {2: (0, "words")}


def test_names_are_slugs_and_differ() -> None:
    names = name_criteria(["Select the response that is concise", "The response is concise!", "海"])
    assert names == ["concise", "concise-2", "criterion"]


def test_annotated_pairs_come_back_as_they_were(tmp_path: Path) -> None:
    matrix = make_matrix(40, ties=5)
    path = tmp_path / "pairs.json"
    write_annotated_pairs(path, matrix, name="test")
    read = read_annotated_pairs(path)
    assert [criterion.text for criterion in read.criteria] == list(TEXTS.values())
    signed = matrix.toward * np.array(
        [1, 1, -1, 1, 1, 1]
    )  # a vote speaks for the response that the weight prefers
    assert np.array_equal(np.sign(read.toward), np.sign(signed))
    assert (read.pairs.p_chosen == 0.5).sum() == 5


def write_document(path: Path, **changes: Any) -> Path:
    """The document as ICAI writes it in version 1.0."""
    document = {
        "metadata": {"version": "1.0", "default_annotator": "d36e"},
        "annotators": {
            "d36e": {"name": "preferred_text", "description": "Default annotator", "type": "unknown"},
            "9f1c": {"description": "Select the response that names its source", "type": "principle"},
            "77aa": {"name": "human_1", "description": "Column", "type": "human"},
        },
        "comparisons": [
            {
                "id": "1", "prompt": None, "text_a": "a", "text_b": "b",
                "annotations": {"d36e": {"pref": "text_b"}, "9f1c": {"pref": "text_b"}, "77aa": {"pref": "text_a"}},
            },
            {
                "id": "2", "prompt": "q", "text_a": "c", "text_b": "d",
                "annotations": {
                    "d36e": {"pref": "text_a"}, "9f1c": {"pref": None, "no_pref_reason": "invalid"},
                },
            },
        ],
    }  # fmt: skip
    path.write_text(json.dumps(document | changes))
    return path


def test_version_1_of_annotated_pairs_is_read(tmp_path: Path) -> None:
    path = write_document(tmp_path / "pairs.json")
    matrix = read_annotated_pairs(path)
    assert matrix.toward[0, 0] == 1.0
    assert np.isnan(matrix.differences[1, 0])
    assert matrix.failed == {"names-source": 1}
    other = read_annotated_pairs(path, label="human_1")
    assert other.toward[0, 0] == -1.0
    assert other.pairs.dropped == {"no label": 1}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"comparisons": None}, "`annotators` should be an object"),
        ({"metadata": {}}, "names no default annotator"),
        ({"annotators": {"d36e": {}}}, "no annotator of the type `principle`"),
        ({"comparisons": [{"annotations": {}}]}, "no text of response a"),
    ],
)
def test_other_documents_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(CurateError, match=message):
        read_annotated_pairs(write_document(tmp_path / "pairs.json", **changes))


RUBRIC = """
name: mine
criteria:
- {name: sourced, text: The response names its source.}
- {name: rainy, text: The response mentions the weather.}
"""


def write_recorded(folder: Path, *, number: int = 60) -> tuple[Path, Path]:
    """Preferences, and verdicts of a verifier that is right on `sourced` and says the same of both on `rainy`."""
    pairs = [{"prompt": f"q{n}", "chosen": f"yes {n}", "rejected": f"no {n}"} for n in range(number)]
    verdicts: list[dict[str, Any]] = []
    for n in range(number):
        for response, satisfied in ((f"yes {n}", n % 10 != 0), (f"no {n}", n % 10 == 0)):
            about = {"prompt": f"q{n}", "response": response}
            verdicts += [
                about | {"criterion": "sourced", "satisfied": satisfied},
                about | {"criterion": "The response mentions the weather.", "p_satisfied": 0.5},
            ]
    verdicts.append({"prompt": "q0", "response": "yes 0", "criterion": "rainy", "failed": True})
    (folder / "mine.yaml").write_text(RUBRIC)
    return write_rows(folder / "pairs.jsonl", pairs), write_rows(folder / "verdicts.jsonl", verdicts)


def test_recorded_verdicts_go_through_verify_and_select(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs, verdicts = write_recorded(tmp_path)
    rubric, kept, few = (tmp_path / name for name in ("mine.yaml", "kept.yaml", "few.yaml"))
    arguments = (str(rubric), str(pairs), "--verdicts", str(verdicts))
    code, out, err = run(
        capsys,
        monkeypatch,
        "rubric",
        "verify",
        *arguments,
        "-w",
        str(kept),
        "--pairs-out",
        str(tmp_path / "icai.json"),
    )
    assert code == 0, err
    assert "90%" in out
    assert "1 verdicts failed" in out
    assert [criterion.name for criterion in read_rubric(kept).criteria] == ["sourced"]
    code, out, err = run(capsys, monkeypatch, "rubric", "select", *arguments, "-w", str(few), "--json")
    assert code == 0, err
    assert json.loads(out)["accuracy"]["criteria"]["value"] == pytest.approx(0.9)
    assert [criterion.name for criterion in read_rubric(few).criteria] == ["sourced"]
    code, out, err = run(capsys, monkeypatch, "rubric", "verify", str(tmp_path / "icai.json"), "--json")
    assert code == 0, err
    rows = {row["name"]: row for row in json.loads(out)["criteria"]}
    assert rows["names-source"]["consistency"]["value"] == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"criterion": "other"}, "row 1: the rubric has no criterion 'other'"),
        ({"criterion": "sourced", "response": "maybe"}, "row 1: no such response is among the pairs"),
        (
            {"criterion": "sourced", "prompt": "q0", "response": "yes 0", "satisfied": "yes"},
            "should be true, false",
        ),
        (
            {"criterion": "sourced", "prompt": "q0", "response": "yes 0", "p_satisfied": 4},
            "a number from 0 to 1",
        ),
    ],
)
def test_verdicts_that_mean_nothing_are_refused(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    row: dict[str, Any],
    message: str,
) -> None:
    pairs, verdicts = write_recorded(tmp_path)
    write_rows(verdicts, [row])
    code, _, err = run(
        capsys,
        monkeypatch,
        "rubric",
        "verify",
        str(tmp_path / "mine.yaml"),
        str(pairs),
        "--verdicts",
        str(verdicts),
    )
    assert code == 1
    assert message in err


@pytest.mark.parametrize(
    ("text", "restates"),
    [
        ("The response is better than the other one.", True),
        ("The chosen response names its source.", True),
        ("Response A is polite.", True),
        ("The response is the best.", True),
        ("The answer is of high quality.", True),
        ("The response follows best practices for medical advice.", False),
        ("The response does not answer a question that was not asked.", False),
        ("The response labels every axis.", False),
        ("The response helps the reader to understand the topic better.", False),
        ("The response says how the better option was found.", True),
    ],
)
def test_a_criterion_that_restates_the_label_is_told_from_others(text: str, restates: bool) -> None:
    assert restates_label(text) is restates


def test_lint_names_what_is_worthless(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(
        "name: bad\ncriteria:\n- {name: a, text: The response is better than the other.}\n"
        "- {name: b, text: 'Does it answer?'}\n- {name: c, text: The response is detailed.}\n"
        "- {name: d, text: The answer is of high quality.}\n- {name: e, text: The response is detailed., weight: 0}\n"
    )
    code, out, _ = run(capsys, monkeypatch, "rubric", "lint", str(path))
    assert code == 1
    lines = out.splitlines()
    assert lines[0] == (
        f"{path}: a: error: It speaks of 'is better': a criterion is true or false of one response, and does not "
        "restate the label."
    )
    for piece in (
        "d: error",
        "b: warning: It is a question",
        "c: warning: 'detailed'",
        "e: warning: It says nearly",
    ):
        assert piece in out
    assert "Its weight is 0" in out
