"""A lake that looks like the end of a real run: a panel with known faults, labels, runs, scores, quarantine."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from pathlib import Path

import pyarrow as pa
import pytest

from curate.config.project import Config
from curate.data.conversation import text_answer
from curate.lake.lake import Lake, Location
from curate.records import (
    TABLES,
    Message,
    Prompt,
    Response,
    arrow_schema,
    judgment_id,
    prompt_id,
    response_id,
    text_parts,
)
from curate.report import write_report

Fill = Callable[..., Lake]
Rows = list[dict[str, object]]

# name, kind, accuracy, how often it just takes the first, ties, failures
PANEL = (
    ("sturdy-8b", "llm", 0.86, 0.04, 0.05, 0.0),
    ("quick-1b", "llm", 0.70, 0.20, 0.08, 0.03),
    ("first-135m", "llm", 0.55, 0.85, 0.0, 0.06),
    ("contrary", "llm", 0.28, 0.0, 0.02, 0.0),
    ("alice", "human", 0.93, 0.0, 0.10, 0.0),
)
TOPICS = (
    "a sonnet about rust",
    "the capital of Peru",
    "how bees find flowers",
    "a refund e-mail",
    "2^10 in hex",
)


def fill(
    lake: Lake,
    *,
    prompts: int = 60,
    panel: Sequence[tuple[str, str, float, float, float, float]] = PANEL,
    seed: int = 1,
) -> Lake:
    rng = random.Random(seed)
    tables: dict[str, Rows] = {name: [] for name in TABLES}
    for number in range(prompts):
        messages = (
            Message(
                role="user",
                content=text_parts(f"Please write {TOPICS[number % 5]} (variant {number})."),
            ),
        )
        asked = Prompt(
            prompt_id=prompt_id(messages, key=f"q{number}", reference=None),
            messages=messages,
            source="demo",
            key=f"q{number}",
        )
        tables["prompts"].append(asked.model_dump())
        answers = _answers(asked, rng)
        tables["responses"] += [each.model_dump() for each in answers]
        votes = _judge(tables["judgments"], answers, panel, rng)
        _label(tables, answers, votes, 2 * len(panel))
    _record(tables, prompts, panel)
    with lake.write("fill") as writer:
        for name, rows in tables.items():
            if rows:
                writer.append(name, pa.Table.from_pylist(rows, schema=arrow_schema(TABLES[name])))
    return lake


def _answers(prompt: Prompt, rng: random.Random) -> list[Response]:
    answers = []
    for model in ("atlas-70b", "brook-8b", "cedar-3b", "dune-1b"):
        messages = text_answer(f"{model} says: " + "word and word, " * rng.randint(3, 60))
        identity = response_id(prompt.prompt_id, messages, key=None, model=model)
        answers.append(
            Response(response_id=identity, prompt_id=prompt.prompt_id, model=model, messages=messages)
        )
    return sorted(answers, key=lambda each: each.response_id)


def _judge(
    rows: Rows,
    answers: Sequence[Response],
    panel: Sequence[tuple[str, str, float, float, float, float]],
    rng: random.Random,
) -> dict[tuple[str, str], float]:
    votes: dict[tuple[str, str], float] = {}
    for a, b in combinations(answers, 2):
        better = "a" if str(a.model) < str(b.model) else "b"
        for name, kind, accuracy, lazy, ties, failures in panel:
            for shown in ("ab", "ba"):
                outcome = better if rng.random() < accuracy else "ab"[better == "a"]
                if rng.random() < lazy:
                    outcome = shown[0]
                outcome = "tie" if rng.random() < ties else outcome
                outcome = "failed" if rng.random() < failures else outcome
                votes.setdefault((a.response_id, b.response_id), 0.0)
                votes[a.response_id, b.response_id] += {"a": 1, "b": -1}.get(outcome, 0)
                rows.append(
                    {
                        "judgment_id": judgment_id(
                            prompt=a.prompt_id,
                            annotator=name,
                            revision="imported",
                            form="pairwise",
                            responses=[a.response_id, b.response_id],
                            shown=shown,
                        ),
                        "prompt_id": a.prompt_id,
                        "annotator_id": name,
                        "kind": kind,
                        "form": "pairwise",
                        "response_a": a.response_id,
                        "response_b": b.response_id,
                        "shown": shown,
                        "outcome": outcome,
                        "revision": "imported",
                        "sample": 0,
                        "tokens_in": 420,
                        "tokens_out": 3,
                        "seconds": 0.12,
                        "run_id": "fill",
                    }
                )
    return votes


def _label(
    tables: dict[str, Rows], answers: Sequence[Response], votes: dict[tuple[str, str], float], judges: int
) -> None:
    """Labels in the order of net wins: close to what aggregation does, and quick."""
    stamp = {"iteration": 0, "run_id": "fill", "prompt_id": answers[0].prompt_id}
    net = {each.response_id: 0.0 for each in answers}
    for (a, b), weight in votes.items():
        net[a] += weight
        net[b] -= weight
    order = sorted(net, key=lambda each: (-net[each], each))
    for place, response in enumerate(order):
        tables["rankings"].append(
            {"response_id": response, "rank": place + 1, "score": net[response], **stamp}
        )
    for (a, b), weight in votes.items():
        first = order.index(a) < order.index(b)
        p_a = (weight + judges + 1) / (2 * judges + 2)
        overruled = weight != 0 and first != (weight > 0)
        tables["preferences"].append(
            {
                "response_a": a,
                "response_b": b,
                "p_a": p_a,
                "strength": weight / 5,
                "outcome": "tie" if weight == 0 else "a" if first else "b",
                "status": "routed" if weight == 0 else "flipped" if overruled else "accepted",
                "confidence": p_a if first else 1 - p_a,
                "n_judgments": judges,
                "dropped_weight": abs(weight) if overruled else 0.0,
                **stamp,
            }
        )
        if overruled:
            winner, loser = (a, b) if weight > 0 else (b, a)
            tables["dropped_arcs"].append({"winner": winner, "loser": loser, "weight": abs(weight), **stamp})


def _record(
    tables: dict[str, Rows], prompts: int, panel: Sequence[tuple[str, str, float, float, float, float]]
) -> None:
    for name, kind, *_ in panel:
        tables["annotators"].append(
            {
                "annotator_id": name,
                "kind": kind,
                "ability": 0.5,
                "n": 12 * prompts,
                "iteration": 0,
                "run_id": "fill",
            }
        )
    for number, reason in enumerate(["`responses` is empty", "not valid JSON", "not valid JSON"]):
        tables["quarantine"].append(
            {
                "quarantine_id": str(number),
                "source": "raw/batch-2.jsonl",
                "line": 17 + number,
                "reason": reason,
                "raw": '{"id": "q',
                "run_id": "r",
            }
        )
    tables["runs"] += [
        _run("ingest", "raw/batch-1.jsonl", prompts - 18, prompts - 20, duplicate=2, seconds=0.4),
        _run(
            "ingest",
            "raw/batch-2.jsonl",
            23,
            20,
            dropped={"not valid JSON": 2, "`responses` is empty": 1},
            seconds=0.3,
        ),
    ]
    for place, (name, _, _, _, _, failures) in enumerate(panel):
        failed = round(12 * prompts * failures)
        tables["runs"].append(
            _run(
                "judge",
                name,
                12 * prompts,
                12 * prompts - failed,
                dropped={"the answer could not be read": failed},
                seconds=90.0 / (1 + place),
                tokens=5_000 * prompts,
            )
        )
    cyclic = len({str(row["prompt_id"]) for row in tables["dropped_arcs"]})
    ties = sum(row["outcome"] == "tie" for row in tables["preferences"])
    details: dict[str, object] = {
        "prompts": prompts,
        "cyclic_before": cyclic,
        "cyclic_after": 0,
        "ties": ties,
    }
    tables["runs"].append(
        _run("aggregate", "iteration-0", 6 * prompts, 6 * prompts, seconds=1.3, details=details)
    )
    tables["runs"].append(
        _run(
            "export",
            "export/preferences",
            6 * prompts,
            6 * prompts - ties,
            dropped={"tie": ties},
            seconds=0.8,
        )
    )
    for benchmark, rows in (
        ("held-out pairs", (("reward-model", 0.74), ("panel", 0.81), ("length baseline", 0.55))),
        ("demo gold", (("reward-model", 0.69), ("sturdy-8b", 0.79), ("length baseline", 0.41))),
    ):
        for subject, value in rows:
            tables["evaluations"].append(
                {
                    "subject": subject,
                    "benchmark": benchmark,
                    "subset": "all",
                    "metric": "accuracy",
                    "value": value,
                    "low": value - 0.05,
                    "high": value + 0.04,
                    "n": 360,
                    "run_id": "r-train",
                }
            )


def _run(
    stage: str,
    part: str,
    rows_in: int,
    kept: int,
    *,
    duplicate: int = 0,
    dropped: dict[str, int] | None = None,
    seconds: float,
    tokens: int = 0,
    details: dict[str, object] | None = None,
) -> dict[str, object]:
    dropped = {reason: rows for reason, rows in (dropped or {}).items() if rows}
    order = ("ingest", "judge", "aggregate", "export").index(stage)
    return {
        "run_id": f"r-{stage}",
        "stage": stage,
        "part": part,
        "chunk": 0,
        "fingerprint": f"f-{part}",
        "config_hash": "0123456789abcdef0123456789abcdef",
        "code_version": "0.1.0",
        "snapshot_in": 1,
        "rows_in": rows_in,
        "rows_kept": kept,
        "rows_duplicate": duplicate,
        "rows_dropped": sum(dropped.values()),
        "tokens_in": tokens,
        "tokens_out": tokens // 140,
        "cost": 0.0,
        "seconds": seconds,
        "status": "done",
        "details": json.dumps({"dropped": dropped, **(details or {})}),
        "started_at": f"2026-11-20T0{order}:00:00.000+00:00",
        "finished_at": f"2026-11-20T0{order}:30:00.000+00:00",
    }


@pytest.fixture(scope="session")
def filled(empty_lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a filled lake; tests that change it copy it."""
    folder = tmp_path_factory.mktemp("filled") / "lake"
    shutil.copytree(empty_lake, folder)
    with Lake.open(Location.under(folder)) as lake:
        fill(lake, prompts=20)
    return folder


@pytest.fixture
def full_lake(filled: Path, tmp_path: Path) -> Iterator[Lake]:
    shutil.copytree(filled, tmp_path / "lake")
    with Lake.open(Location.under(tmp_path / "lake")) as opened:
        yield opened


@pytest.fixture(scope="session")
def full_page(filled: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The report of the filled lake."""
    with Lake.open(Location.under(filled), read_only=True) as lake:
        path = write_report(lake, Config(), path=tmp_path_factory.mktemp("page") / "report.html")
    return path.read_text(encoding="utf-8")


@pytest.fixture
def fill_lake() -> Fill:
    return fill
