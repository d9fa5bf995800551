"""Rewards per criterion beside the score: what the features of a rubric measure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi.testclient import TestClient

from curate.core.errors import CurateError
from curate.serve.app import make_app
from curate.serve.criteria import CriterionRewards
from curate.serve.limits import ServerLimits
from tests.serve.test_app import Lengths

BULLETS = {"name": "lists", "text": "It has a list.", "kind": "feature", "feature": "bullets", "weight": -2.0}
NUMBERS = {
    "name": "numbers",
    "text": "It has numbers.",
    "kind": "feature",
    "feature": "numbers",
    "scale": 0.5,
}


def write(folder: Path, *criteria: dict[str, Any]) -> Path:
    path = folder / "r.yaml"
    path.write_text(yaml.safe_dump({"name": "r", "criteria": list(criteria)}))
    return path


def test_score_and_rewards_answer_each_criterion(tmp_path: Path) -> None:
    criteria = CriterionRewards.load(write(tmp_path, BULLETS, NUMBERS))
    texts = ["Plain words.", "- one\n- two 2 3 4"]
    with TestClient(make_app(Lengths(), ServerLimits(), criteria=criteria)) as client:
        scored = client.post("/score", json={"prompt": "List it.", "responses": texts}).json()
        rewarded = client.post("/rewards", json={"prompts": ["List it."] * 2, "completions": texts}).json()
        other = client.post("/get_reward", json={"query": ["x"], "prompts": ["x"], "labels": [""]}).json()
    found = scored["criteria"]
    assert found == rewarded["criteria"]
    assert len(scored["scores"]) == 2
    plain, listed = found["lists"]
    assert plain == 0
    assert listed < 0  # its weight speaks against lists
    assert found["numbers"][0] == 0
    assert found["numbers"][1] > 0
    assert "criteria" not in other
    with TestClient(make_app(Lengths(), ServerLimits())) as client:
        assert "criteria" not in client.post("/score", json={"prompt": "?", "responses": texts}).json()


def test_a_criterion_for_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CurateError, match="'kind-one' is read by a model"):
        CriterionRewards.load(write(tmp_path, BULLETS, {"name": "kind-one", "text": "It is kind to people."}))
