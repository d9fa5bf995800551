"""The whole path of rubrics with a real small model in the real vLLM: criteria are written, judged and exported.

SmolLM2-135M writes little that is of use. What is tested is that all of it arrives: JSON that is held to its schema is
valid in every row, and every request is a row.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from curate.config.project import load_config
from curate.lake.lake import Lake
from tests.e2e.smollm import save_smollm
from tests.e2e.test_vllm import GRAMMAR, PYTHON, Served

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]
Start = Callable[..., subprocess.Popen[str]]
TOPICS = ("tea", "rain", "bread")  # each takes half a minute of a processor
BY_SCHEMA = ("contrastive", "rules", "merge", "reasons", "propose", "hypotheses")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    if not PYTHON.with_name("..").joinpath(".built").resolve().exists():
        pytest.skip("vLLM's environment is not there: run `make .venvs/vllm/.built`")
    folder = tmp_path_factory.mktemp("smollm")
    model = save_smollm(folder / "model")
    server = Served(model, (*GRAMMAR, "--max-model-len", "2048"), folder / "log")
    try:
        server.start()
        server.wait()
        yield server
    finally:
        server.kill()


def make_project(folder: Path, server: Served) -> None:
    rows = [
        {
            "prompt": f"Why do people like {topic}?",
            "chosen": f"Many grew up with {topic}, so it reminds them of home; it is also cheap.",
            "rejected": f"People like {topic}.",
            "reasons": [
                f"It gives reasons, which is what was asked about {topic}.",
                "The other one only repeats.",
            ],
        }
        for topic in TOPICS
    ]
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    responses = [
        {"id": row["prompt"], "prompt": row["prompt"],
         "responses": [{"id": f"{row['prompt']} {side}", "text": row[side]} for side in ("chosen", "rejected")]}
        for row in rows
    ]  # fmt: skip
    (folder / "responses.jsonl").write_text("".join(json.dumps(row) + "\n" for row in responses))
    engine = {
        "kind": "openai",
        "url": server.url,
        "model": "m",
        "tokenizer": str(server.model),
        "outage": 600,
    }
    rubric = {"kind": "rubric", "engine": "smol", "rubric": "rubrics/extracted.yaml"}
    config = {
        "engines": {"smol": engine},
        "ingest": [{"source": "responses.jsonl"}],
        "judge": {
            "judges": [
                {"name": "asked", **rubric},
                {"name": "written", **rubric, "ask": "json", "batch": 4, "reasons": True},
                {"name": "pairs", "kind": "pairwise", "engine": "smol", "rubric": "rubrics/extracted.yaml"},
            ]
        },
        "rubric": {
            "extract": {
                "engine": "smol",
                "labels": "pairs.jsonl",
                "consistency": 0,
                "rounds": 1,
                "criteria": 6,
                "max_tokens": 512,
                "methods": ["contrastive", "traces", "reasons", "revise", "hypotheses"],
            }
        },
        "export": [
            {"path": "export/rubrics", "format": "rubric", "license": "apache-2.0"},
            {"path": "export/verdicts", "format": "criterion-verdicts", "license": "apache-2.0"},
        ],
    }
    (folder / "curate.yaml").write_text(yaml.safe_dump(config))


def run(curate: Start, folder: Path, *arguments: str) -> str:
    process = curate(*arguments, folder=folder)
    out, err = process.communicate(timeout=1200)
    assert process.returncode == 0, f"curate {' '.join(arguments)}\n{out}\n{err}"
    return out


def test_the_whole_path_by_a_language_model(served: Served, curate: Start, tmp_path: Path) -> None:
    make_project(tmp_path, served)
    found = json.loads(run(curate, tmp_path, "rubric", "extract", "--json"))
    assert found["pairs"] == len(TOPICS)
    assert found["rubrics"][0]["criteria"]
    calls = found["calls"]
    assert calls["contrastive"] == {"answered": len(TOPICS)}
    assert set(calls) >= {"contrastive", "trace", "rules", "reasons", "propose", "evaluate"}
    run(curate, tmp_path, "ingest")
    run(curate, tmp_path, "judge")
    run(curate, tmp_path, "export")
    with Lake.open(load_config(tmp_path / "curate.yaml").location) as lake:
        rows = lake.rows("SELECT step, outcome, count(*) FROM rubric_calls GROUP BY ALL")
        by_step = {(step, outcome): number for step, outcome, number in rows}
        reasons = lake.rows(
            "SELECT reason FROM rubric_calls WHERE outcome = 'failed' AND list_contains(?, step)",
            [list(BY_SCHEMA)],
        )  # JSON is valid as far as it goes; a small model reads little, and may not find its end
        assert all(reason.startswith(("cut off", "too long")) for (reason,) in reasons), reasons
        counted = sum(sum(states.values()) for states in calls.values())
        assert sum(by_step.values()) == counted - sum(states.get("known", 0) for states in calls.values())
        verdicts = lake.rows(
            "SELECT annotator_id, count(*), count(*) FILTER (outcome = 'failed'), count(p_satisfied) "
            "FROM criterion_verdicts GROUP BY 1 ORDER BY 1"
        )
        criteria = len(found["rubrics"][0]["criteria"])
        number = 2 * len(TOPICS) * criteria
        assert verdicts == [("asked", number, 0, number), ("written", number, 0, 0)]
        judged = lake.rows("SELECT annotator_id, outcome, count(*) FROM judgments GROUP BY ALL ORDER BY ALL")
        assert {(name, total) for name, outcome, total in judged if outcome == "a" and name != "pairs"} == {
            ("asked", 2 * len(TOPICS)), ("written", 2 * len(TOPICS))
        }  # fmt: skip
    again = json.loads(run(curate, tmp_path, "rubric", "extract", "--json"))
    assert all(set(states) <= {"known", "failed"} for states in again["calls"].values())
    assert again["rubrics"] == found["rubrics"]
