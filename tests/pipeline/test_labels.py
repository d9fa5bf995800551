"""The Python face gives what the command line gives, by the caller's keys, and leaves nothing behind."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest
from typer.testing import CliRunner

import curate
from curate.cli.app import app
from curate.config.aggregate import AggregateSection
from curate.config.judge import JudgeSection
from curate.core.resources import read_query
from curate.lake.lake import Lake
from curate.pipeline.labels import AggregateKeywords, JudgeKeywords
from curate.records import Judgment
from tests.conftest import make_prompt, make_response, table
from tests.judge.conftest import SCRIPTED
from tests.pipeline.notebook_rows import JUDGES, PROMPTS, make_responses, make_votes


def write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def run_cli(folder: Path, *commands: str) -> None:
    for command in commands:
        result = CliRunner().invoke(app, [command, "-c", str(folder / "curate.yaml")])
        assert result.exit_code == 0, result.output


def make_project(folder: Path, **sections: Any) -> Path:
    """A project with the sample's files; JSON is YAML."""
    write_lines(folder / "responses.jsonl", make_responses())
    write_lines(folder / "votes.jsonl", make_votes())
    ingest = [{"source": "responses.jsonl"}, {"source": "votes.jsonl", "kind": "judgments"}]
    (folder / "curate.yaml").write_text(json.dumps({"ingest": ingest, **sections}), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with judges and votes, through the command line."""
    folder = make_project(tmp_path_factory.mktemp("project"), judge={"judges": JUDGES})
    run_cli(folder, "ingest", "judge", "aggregate")
    return folder


@pytest.fixture(scope="module")
def voted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with votes alone, through the command line."""
    folder = make_project(tmp_path_factory.mktemp("voted"))
    run_cli(folder, "ingest", "aggregate")
    return folder


def read_preferences(folder: Path) -> list[tuple[Any, ...]]:
    """What the lake says, turned to the keys' order here and not in SQL."""
    turned = {"a": "b", "b": "a", "tie": "tie"}
    with curate.open_lake(folder) as lake:
        keys = dict(lake.frame("SELECT response_id, key FROM responses").iter_rows())
        rows = lake.frame("SELECT * FROM final_preferences").to_dicts()
    result = []
    for row in rows:
        a, b, winner, p_a = keys[row["response_a"]], keys[row["response_b"]], row["outcome"], row["p_a"]
        if a > b:
            a, b, winner, p_a = b, a, turned[winner], 1 - p_a
        result.append(
            (a, b, winner, round(p_a, 9), row["status"], round(row["confidence"], 9), row["n_judgments"])
        )
    return sorted(result)


def list_preferences(labels: curate.Labels) -> list[tuple[Any, ...]]:
    rounded = (pl.col(name).round(9) for name in ("p_a", "confidence"))
    frame = labels.preferences.with_columns(rounded)
    return sorted(frame.select("a", "b", "winner", "p_a", "status", "confidence", "n_judgments").iter_rows())


def assert_same(labels: curate.Labels, others: curate.Labels) -> None:
    for name in ("preferences", "rankings", "annotators"):
        assert getattr(labels, name).equals(getattr(others, name)), name
    stamp = {"run_id"}
    assert labels.guarantee.assessment.model_dump(exclude=stamp) == others.guarantee.assessment.model_dump(
        exclude=stamp
    )
    assert [row.model_dump(exclude=stamp) for row in labels.guarantee.strata] == [
        row.model_dump(exclude=stamp) for row in others.guarantee.strata
    ]


def test_judging_and_aggregating_in_python_gives_the_command_lines_numbers(project: Path) -> None:
    labels = curate.label_responses(pl.DataFrame(make_responses()), JUDGES, votes=make_votes())
    assert list_preferences(labels) == read_preferences(project)
    with curate.open_lake(project) as lake:
        assert_same(labels, lake.labels())
    assert len(labels.preferences) == 3 * PROMPTS
    assert labels.rankings.columns == ["prompt", "response", "model", "rank", "score", "score_sd"]
    assert labels.annotators["annotator"].to_list() == ["ann", "bleu", "bob", "gpt", "length"]
    assert str(labels).endswith(labels.guarantee.sentence)
    assert labels.guarantee.assessment.labels > 0


def test_votes_alone_give_the_command_lines_numbers(voted: Path) -> None:
    for frame in (make_votes(), pd.DataFrame(make_votes())):
        labels = curate.aggregate_votes(frame)
        assert list_preferences(labels) == read_preferences(voted)
    assert labels.annotators["length_bias"].null_count() == 3  # nothing is known of what was voted on
    with curate.open_lake(voted) as lake:
        assert_same(curate.aggregate_votes(make_votes(), responses=make_responses()), lake.labels())


def test_what_people_say_keeps_its_side_and_options_reach_the_stage() -> None:
    rows = [
        {
            "prompt": f"p{number}",
            "a": a,
            "b": b,
            "annotator": "me",
            "winner": "a" if a == "good" else "b",
            "kind": "human",
        }
        for number in range(6)
        for a, b in (("good", "bad"), ("worse", "good"))
    ]
    labels = curate.aggregate_votes(rows, kind="human", guarantee=None, method="denoise-then-ensemble")
    assert set(labels.preferences.select("a", "b", "winner", "status").iter_rows()) == {
        ("bad", "good", "b", "verified"),
        ("good", "worse", "a", "verified"),
    }
    assert labels.rankings.filter(rank=1)["response"].unique().to_list() == ["good"]
    assert labels.guarantee.sentence.startswith("No guarantee was asked for (`aggregate.guarantee` is null).")
    assert not labels.guarantee.holds
    assert labels.guarantee.strata == ()


def test_the_same_vote_twice_counts_once_and_is_mentioned() -> None:
    vote = {"prompt": "p", "a": "x", "b": "y", "annotator": "me", "winner": "b"}
    labels = curate.aggregate_votes([vote, vote])
    assert labels.preferences["n_judgments"].to_list() == [1]
    assert "1 votes say what is in the lake already, and count once." in labels.notes


def test_judgments_come_by_key_with_their_side() -> None:
    rows = make_responses()[:2]
    frame = curate.judge_responses(rows, JUDGES)
    length = frame.filter(annotator="length").select("prompt", "a", "b", "winner", "form", "shown")
    assert length.rows()[:3] == [
        ("q0", "q0-long", "q0-loop", "a", "pairwise", None),
        ("q0", "q0-long", "q0-short", "a", "pairwise", None),
        ("q0", "q0-loop", "q0-short", "a", "pairwise", None),
    ]
    assert len(frame) == 2 * 2 * 3


def test_lists_ratings_and_probabilities_come_by_key(lake: Lake) -> None:
    prompt = make_prompt(0)
    responses = [make_response(prompt, number) for number in range(3)]
    key = {response.response_id: str(response.key) for response in responses}
    x, y, z = sorted(key)
    common: dict[str, Any] = {
        "prompt_id": prompt.prompt_id,
        "annotator_id": "model",
        "kind": "llm",
        "run_id": "r",
    }
    common |= {"revision": "imported", "outcome": "a"}
    places: dict[str, Any] = {"listed": (x, y, z), "ranking": (z, x, y), "scores": (2.0, 1.0, 3.0)}
    judgments = [
        Judgment(judgment_id="list", form="listwise", **places, **common),
        Judgment(judgment_id="rating", form="pointwise", response_a=y, score=7.0, **common),
        Judgment(
            judgment_id="pair", form="pairwise", response_a=x, response_b=y, shown="ab", p_a=0.7, **common
        ),
        Judgment(
            judgment_id="other", form="pairwise", response_a=y, response_b=z, shown="ba", p_a=0.7, **common
        ),
    ]
    with lake.write("sample") as writer:
        writer.append("prompts", table([prompt]))
        writer.append("responses", table(responses))
        writer.append("judgments", table(judgments))
    lake.rows("CREATE TEMP VIEW current_judgments AS SELECT * FROM judgments")
    rows = lake.frame(read_query("labels_judgments"), [["model"]]).to_dicts()
    (ranking,) = [row for row in rows if row["form"] == "listwise"]
    assert (ranking["listed"], ranking["ranking"]) == ([key[x], key[y], key[z]], [key[z], key[x], key[y]])
    assert (ranking["scores"], ranking["winner"], ranking["a"]) == ([2.0, 1.0, 3.0], None, None)
    (rating,) = [row for row in rows if row["form"] == "pointwise"]
    assert (rating["a"], rating["b"], rating["score"], rating["winner"]) == (key[y], None, 7.0, None)
    for better, worse, shown in ((x, y, "ab"), (y, z, "ba")):
        kept = key[better] < key[worse]
        a, b = sorted((key[better], key[worse]))
        (row,) = [row for row in rows if row["form"] == "pairwise" and (row["a"], row["b"]) == (a, b)]
        turned = {"ab": "ba", "ba": "ab"}[shown]
        assert (row["winner"], row["shown"], row["p_a"]) == (
            ("a", shown, 0.7) if kept else ("b", turned, 0.3)
        )


def test_a_project_keeps_what_is_judged_and_brings_its_own_panel(project: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(project, folder)
    with curate.open_lake(folder) as lake:
        before = lake.labels()
    rows = [row | {"annotator": "eve"} for row in make_votes() if row["annotator"] == "ann"]
    labels = curate.aggregate_votes(rows, workspace=folder)
    assert set(labels.annotators["annotator"]) == {*before.annotators["annotator"], "eve"}
    with curate.open_lake(folder / ".curate") as lake:
        assert_same(labels, lake.labels())
        judged = "SELECT count(*) FROM judgments WHERE kind IN ('rule', 'reference')"
        count = lake.frame(judged).item()
    assert set(curate.judge_responses(make_responses(), workspace=folder)["annotator"]) == {"length", "bleu"}
    with curate.open_lake(folder / "curate.yaml") as lake:
        assert lake.frame(judged).item() == count  # nothing was asked again
    with pytest.raises(
        curate.CurateError, match=r"1 of 1 votes were not taken in; the first: No prompt .* 'q99'"
    ):
        curate.aggregate_votes([rows[0] | {"prompt": "q99"}], workspace=folder)


def test_nothing_stays_behind_and_mistakes_in_options_are_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    vote = {"prompt": "p", "a": "x", "b": "y", "annotator": "me", "winner": "b"}
    curate.aggregate_votes([vote])
    rows, judge = make_responses()[:1], JUDGES[0]
    for sentence, call in (
        ("unknown option `metod`: did you mean `method`", lambda: curate.aggregate_votes([vote], metod="x")),  # type: ignore[call-arg]
        ("`aggregate.method` is 'x'", lambda: curate.aggregate_votes([vote], method="x")),
        ("There are no judges: give `judges`", lambda: curate.judge_responses(rows)),
        ("rul", lambda: curate.judge_responses(rows, [judge | {"rule": "lenght"}])),
        (r"judges\[0\] is 'length', but must be a dict", lambda: curate.judge_responses(rows, ["length"])),  # type: ignore[list-item]
        (r"engines\['m'\] is 'gpt'", lambda: curate.judge_responses(rows, [judge], engines={"m": "gpt"})),  # type: ignore[dict-item]
        (
            "There is no folder",
            lambda: curate.aggregate_votes([vote], workspace=tmp_path / "nowhere" / "else"),
        ),
        ("No prompt in the lake has the id 'p'", lambda: curate.aggregate_votes([vote], responses=rows)),
        ("No prompt in the lake has the id 'p'", lambda: curate.label_responses(rows, [judge], votes=[vote])),
    ):
        with pytest.raises(curate.CurateError, match=sentence):
            call()
    assert list((tmp_path / "temporary").iterdir()) == []


def test_what_a_limit_leaves_unasked_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # where relative paths of engines start
    Path("scripted.py").write_text(SCRIPTED, encoding="utf-8")
    judges = [{"name": "model", "kind": "pairwise", "engine": "scripted"}]
    engines = {"scripted": {"kind": "./scripted.py:Scripted", "favourite": "tide"}}
    with pytest.warns(UserWarning, match="questions are left"):
        frame = curate.judge_responses(make_responses(), judges, engines=engines, max_tokens=1)
    assert frame.is_empty()
    frame = curate.judge_responses(make_responses()[:1], judges, engines=engines)
    assert set(frame.filter(a="q0-long")["winner"]) == {"a"}
    assert set(frame["shown"]) == {"ab", "ba"}


def test_a_lake_is_opened_for_reading_only(voted: Path, tmp_path: Path) -> None:
    for path in (voted, voted / "curate.yaml", voted / ".curate", voted / ".curate" / "lake", str(voted)):
        with curate.open_lake(path) as lake:
            assert lake.frame("SELECT count(*) FROM prompts").item() == PROMPTS
    lake = curate.open_lake(voted / ".curate" / "lake" / "catalog.sqlite")
    assert lake.frame("SELECT key FROM prompts WHERE key = ?", ["q3"])["key"].to_list() == ["q3"]
    for query in ("DELETE FROM lake.prompts", "SELEC 1", "SELECT * FROM nowhere"):
        with pytest.raises(curate.CurateError):
            lake.frame(query)
    lake.close()
    with pytest.raises(curate.CurateError, match="There is no lake in"):
        curate.open_lake(tmp_path)


def test_a_lake_without_labels_says_what_to_run(tmp_path: Path) -> None:
    make_project(tmp_path)
    run_cli(tmp_path, "ingest")
    with (
        curate.open_lake(tmp_path) as lake,
        pytest.raises(curate.CurateError, match="run `curate aggregate` first"),
    ):
        lake.labels()


def test_the_keywords_are_the_options_of_the_sections() -> None:
    assert set(AggregateKeywords.__annotations__) == set(AggregateSection.model_fields)
    assert set(JudgeKeywords.__annotations__) == set(JudgeSection.model_fields) - {"judges"}


def test_importing_curate_imports_nothing_heavy() -> None:
    code = (
        "import sys, curate\n"
        "heavy = {'polars', 'pyarrow', 'duckdb', 'numpy', 'pandas', 'torch', 'pydantic', 'curate.pipeline'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "assert curate.__version__ and set(curate.__all__) < set(dir(curate))\n"
        "assert not [name for name in curate.__all__ if not hasattr(curate, name)]\n"
        "assert not hasattr(curate, 'nothing_of_that_name')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_where_people_judged_every_pair_no_more_labels_are_asked_for() -> None:
    votes = [
        {"prompt": f"p{n}", "a": "x", "b": "y", "annotator": who, "winner": "a"}
        for n in range(30)
        for who in ("anna", "ben")
    ]
    guarantee = str(curate.aggregate_votes(votes, kind="human").guarantee)
    assert "no other pair has a label to make a promise about" in guarantee
    assert "more needed" not in guarantee
    assert "people took a side on 0 pairs that judges voted on" in guarantee
