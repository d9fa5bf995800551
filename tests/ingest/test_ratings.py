"""Ratings and rankings made elsewhere: taken in by the command, once, and counted as what they say."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from curate.cli.app import main
from curate.config.project import load_config
from curate.lake.lake import Lake

Run = Callable[..., int]
RESPONSES = [
    {
        "id": f"p{number}",
        "prompt": f"Question {number}?",
        "responses": [{"id": name, "text": f"{name} of {number}", "model": name} for name in "xyz"],
    }
    for number in range(6)
]


def write(path: str, rows: Sequence[dict[str, Any]]) -> None:
    Path(path).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def rate(annotator: str, scores: dict[str, float], **also: Any) -> list[dict[str, Any]]:
    return [
        {"prompt": row["id"], "response": name, "annotator": annotator, "score": score, **also}
        for row in RESPONSES
        for name, score in scores.items()
    ]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command, in a project with responses."""

    def call(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["curate", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0)

    assert call("init", str(tmp_path / "p")) == 0
    monkeypatch.chdir(tmp_path / "p")
    write("responses.jsonl", RESPONSES)
    return call


def configure(sources: str, aggregate: str = "{guarantee: null}") -> None:
    Path("curate.yaml").write_text(
        f"ingest:\n  - source: responses.jsonl\n{sources}aggregate: {aggregate}\n", encoding="utf-8"
    )


def query(text: str) -> list[tuple[Any, ...]]:
    with Lake.open(load_config(Path("curate.yaml")).location, read_only=True) as lake:
        return lake.rows(text)


def best_of_each() -> set[str]:
    rows = query("SELECT key FROM rankings JOIN responses USING (response_id) WHERE rank = 1")
    return {key for (key,) in rows}


def test_ratings_become_pairs_and_are_taken_in_once(run: Run) -> None:
    rows = rate("skywork", {"x": 1, "y": 3.5, "z": 2}, kind="reward-model", score_sd=1.0)
    write("ratings.jsonl", rows)
    configure("  - {source: ratings.jsonl, kind: ratings}\n")
    assert run("ingest") == 0
    write("ratings.jsonl", [*rows, *rows])  # each row twice: nothing new
    assert run("ingest") == 0
    assert query("SELECT form, score_sd, count(*) FROM judgments GROUP BY ALL") == [("pointwise", 1.0, 18)]
    assert run("aggregate") == 0
    assert query("SELECT count(*) FROM preferences") == [(18,)]
    assert best_of_each() == {"y"}


def test_what_is_about_one_aspect_is_kept_apart(run: Run) -> None:
    write(
        "ratings.jsonl",
        rate("gpt", {"x": 5, "y": 1}, aspect="helpfulness")
        + rate("gpt", {"x": 1, "y": 5}, aspect="truthfulness")
        + rate("gpt", {"x": 2, "y": 3}),
    )
    configure("  - {source: ratings.jsonl, kind: ratings, annotator_kind: llm}\n")
    assert run("ingest") == 0
    assert run("aggregate") == 0
    assert query("SELECT DISTINCT annotator_id, aspect FROM judgments ORDER BY 2 NULLS FIRST") == [
        ("gpt", None),
        ("gpt", "helpfulness"),
        ("gpt", "truthfulness"),
    ]
    assert query("SELECT annotator_id FROM annotators") == [("gpt",)]
    assert best_of_each() == {"y"}


def test_rankings_with_ties(run: Run) -> None:
    rows = [
        {"prompt": row["id"], "annotator": "ann", "kind": "human", "ranking": ["y", ["z", "x"]]}
        for row in RESPONSES
    ]
    write("rankings.jsonl", rows)
    configure("  - {source: rankings.jsonl, kind: rankings}\n")
    assert run("ingest") == 0
    assert run("ingest", "rankings", "rankings.jsonl") == 0
    assert query("SELECT count(*) FROM judgments") == [(6,)]
    assert run("aggregate") == 0
    ranks = query("SELECT DISTINCT key, rank FROM rankings JOIN responses USING (response_id) ORDER BY 1")
    assert ranks == [("x", 2), ("y", 1), ("z", 2)]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"response": "w", "score": 1.0}, "No prompt in the lake has the id 'p0' and a response 'w'"),
        ({"response": "x", "score": "high"}, "`score` is a string, but should be a number"),
        ({"response": "x"}, "`score` is missing"),
        ({"response": "x", "score": 1.0, "stars": 3}, "`stars` is no known key"),
    ],
)
def test_bad_ratings_go_to_quarantine_with_the_reason(run: Run, row: dict[str, Any], reason: str) -> None:
    write("ratings.jsonl", [{"prompt": "p0", "annotator": "j", "kind": "llm", **row}])
    configure("  - {source: ratings.jsonl, kind: ratings}\n")
    run("ingest")
    ((found,),) = query("SELECT reason FROM quarantine")
    assert reason in found


@pytest.mark.parametrize("ranking", [["x"], ["x", "x"], ["x", []], ["x", "w"]])
def test_bad_rankings_go_to_quarantine(run: Run, ranking: list[Any]) -> None:
    write("rankings.jsonl", [{"prompt": "p0", "annotator": "j", "kind": "llm", "ranking": ranking}])
    configure("  - {source: rankings.jsonl, kind: rankings}\n")
    run("ingest")
    assert query("SELECT count(*) FROM quarantine") == [(1,)]
    assert query("SELECT count(*) FROM judgments") == [(0,)]


@pytest.mark.parametrize(
    ("combine", "best"),
    [("mean", "x"), ("mean-sd", "y"), ("minimum", "y"), ("log-sigmoid", "x"), ("median", "x")],
)
def test_reward_models_are_one_annotator_in_every_documented_way(run: Run, combine: str, best: str) -> None:
    """Two models are in love with x, which the third finds bad; y is bad by none."""
    write(
        "ratings.jsonl",
        rate("one", {"x": 9, "y": 2, "z": 0}, kind="reward-model")
        + rate("two", {"x": -1, "y": 0.9, "z": 0}, kind="reward-model")
        + rate("three", {"x": 18, "y": 4, "z": 0}, kind="reward-model"),
    )
    rewards = f"{{annotators: [one, two, three], combine: {combine}, agreement: 1.0, risk: 1.0}}"
    configure("  - {source: ratings.jsonl, kind: ratings}\n", f"{{guarantee: null, rewards: {rewards}}}")
    assert run("ingest") == 0
    assert run("aggregate") == 0
    assert {"reward ensemble"} <= {name for (name,) in query("SELECT annotator_id FROM annotators")}
    assert query("SELECT count(*) FROM preferences WHERE reason LIKE '%contradict each other%'") == [(12,)]
    assert best_of_each() == {best}
