"""The panel as a reward model: what judges say counts by what was learnt of them, and silence has a reason."""

from __future__ import annotations

import contextlib
import json
import math
import random
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curate.aggregate import aggregate_judgments
from curate.config.project import load_config
from curate.core.errors import CurateError
from curate.data.conversation import text_answer, text_message
from curate.engine.base import Failure
from curate.ingest import ingest_sources
from curate.judge import judge_responses
from curate.lake.lake import Lake
from curate.pipeline.panel_rewards import PanelRewards
from curate.reward.scorer import PromptResponses

CURATE = "import sys; sys.argv[0] = 'curate'; from curate.cli.app import main; main()"
SETTINGS = """
ingest: [{source: rows.jsonl}]
judge:
  judges:
    - {name: length, kind: rule, rule: length}
    - {name: picky, kind: "./picky.py:Picky"}
"""
PICKY = """
from curate.judge.base import Judge, abstain, from_margin


class Picky(Judge):
    kind = "rule"

    def answer(self, questions):
        return [
            abstain("nothing to like") if "good" not in q.a.text + q.b.text
            else from_margin(q.a.text.count("good") - q.b.text.count("good"))
            for q in questions
        ]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    rng = random.Random(1)
    words = ["good", "fine", "plain", "other"]
    rows = [
        {
            "id": f"p{number}",
            "prompt": f"question {number}",
            "responses": [
                {"id": f"p{number}{key}", "text": " ".join(rng.choices(words, k=rng.randint(2, 30)))}
                for key in "abc"
            ],
        }
        for number in range(40)
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "picky.py").write_text(PICKY)
    (tmp_path / "curate.yaml").write_text(SETTINGS)
    config = load_config(tmp_path / "curate.yaml")
    with Lake.open(config.location) as lake:
        ingest_sources(lake, config)
        judge_responses(lake, config)
        aggregate_judgments(lake, config)
    return tmp_path


def ask(panel: PanelRewards, *texts: str) -> list[float]:
    request = PromptResponses((text_message("user", "Why?"),), tuple(text_answer(text) for text in texts))
    return [float(reward) for reward in panel.score([request])[0]]


def test_a_reward_is_the_mean_probability_to_be_better(project: Path) -> None:
    config = load_config(project / "curate.yaml")
    with Lake.open(config.location, read_only=True) as lake:
        ability = dict(lake.rows("SELECT annotator_id, ability FROM final_annotators"))

    def sigmoid(value: float) -> float:
        return 1 / (1 + math.exp(-value))

    with PanelRewards.open(config) as panel:
        first, second, third = ask(panel, "good " * 20, "plain words", "other " * 20)
        one, two = (
            sigmoid(ability["length"] + ability["picky"]),
            sigmoid(ability["picky"]),
        )  # against the second and the third, which is as long
        three = sigmoid(ability["length"])  # the third against the second, about which `picky` says nothing
        assert np.allclose(
            [first, second, third], [(one + two) / 2, (2 - one - three) / 2, (1 - two + three) / 2]
        )
        assert first > third > second


def test_silence_has_a_reason(project: Path) -> None:
    with PanelRewards.open(load_config(project / "curate.yaml"), judges=["picky"]) as panel:
        assert all(math.isnan(reward) for reward in ask(panel, "plain", "other"))
        (failure,) = panel.score_each(
            [PromptResponses((text_message("user", "Why?"),), (text_answer("plain"),))]
        )
        assert isinstance(failure, Failure)
        assert "picky abstains: nothing to like" in failure.reason
        assert math.isnan(ask(panel, "good")[0])
        assert sum(panel.unread.values()) == 3


def test_a_panel_that_has_learnt_nothing_is_refused(project: Path) -> None:
    config = load_config(project / "curate.yaml")
    with Lake.open(config.location) as lake:
        lake.run_statements("UPDATE annotators SET ability = 0")
    with pytest.raises(CurateError, match="every reward would be"):
        PanelRewards.open(config)


def test_judges_without_a_weight_are_refused(project: Path) -> None:
    settings = project / "curate.yaml"
    settings.write_text(SETTINGS + "    - {name: new, kind: rule, rule: repetition}\n")
    with pytest.raises(CurateError, match="'new' has no learnt weight"):
        PanelRewards.open(load_config(settings))
    with PanelRewards.open(load_config(settings), judges=["length"]) as panel:
        assert ask(panel, "a b c d", "a")[0] > 0.5
    (project / "picky.py").write_text(PICKY + "\n# another judge\n")
    with pytest.raises(CurateError, match="'picky' has changed since its weight was learnt"):
        PanelRewards.open(load_config(settings), judges=["picky"])


@contextlib.contextmanager
def serve(project: Path, *options: str) -> Iterator[str]:
    command = [
        sys.executable,
        "-c",
        CURATE,
        "serve-reward",
        "--panel",
        "curate.yaml",
        "--port",
        "0",
        *options,
    ]
    with subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http://\S+", line)
        try:
            assert found, line
            yield found[0]
        finally:
            process.terminate()


def post(url: str, body: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as response:
        answer: dict[str, Any] = json.load(response)
        return answer


def rollout(text: str, *, asked: str = "Why?") -> dict[str, Any]:
    content = [{"type": "output_text", "text": text}]
    return {
        "responses_create_params": {"input": asked},
        "response": {"output": [{"type": "message", "role": "assistant", "content": content}]},
    }


@pytest.mark.e2e
def test_rollouts_are_rewarded_together_over_http(project: Path) -> None:
    texts = ["good " * 20, "plain words", "other " * 20]
    with PanelRewards.open(load_config(project / "curate.yaml")) as panel:
        expected = ask(panel, *texts)
    with serve(project, "--cohort", "3") as url, ThreadPoolExecutor(3) as pool:
        assert post(f"{url}/score", {"prompt": "Why?", "responses": texts})["scores"] == pytest.approx(
            expected
        )
        answers = list(pool.map(lambda text: post(f"{url}/verify", rollout(text)), texts))
        assert [answer["reward"] for answer in answers] == pytest.approx(expected)
        assert not any("_ng_failure_class" in answer for answer in answers)
        trl = post(f"{url}/rewards", {"prompts": ["Why?", "Else?"], "completions": ["a", "b"]})
        assert trl["rewards"] == [None, None]
        assert "send them together" in trl["errors"]["0"]


@pytest.mark.e2e
def test_a_silent_panel_fails_the_rollout(project: Path) -> None:
    with serve(project, "--judge", "picky", "--cohort", "2") as url, ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda text: post(f"{url}/verify", rollout(text)), ["plain", "other words"]))
    for answer in answers:
        assert answer["_ng_failure_class"] == "judge_failed"
        assert "picky abstains: nothing to like" in answer["_ng_failure_judge_error"]
