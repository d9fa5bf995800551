"""The certificate through the command line: written, checked, refused once something has drifted; doubtful labels."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from curate.cli.app import app
from curate.config.project import load_config
from curate.core.errors import CurateError
from curate.lake.lake import Lake
from curate.pipeline.certificate import read_certificate
from curate.pipeline.certificate_check import compute_shift_p, grow_drift_wealth
from tests.aggregate.test_defaults import write_fooled_panel
from tests.aggregate.test_guarantee_looks import label
from tests.aggregate.test_guaranteed_statuses import fill
from tests.conftest import judge_pair, make_prompt, make_response, table


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    settings = {
        "aggregate": {"annotator_model": "majority"},
        "export": [{"path": "out", "doubtful": "refuse"}],
    }
    (tmp_path / "curate.yaml").write_text(yaml.safe_dump(settings))
    return tmp_path


def open_project(project: Path) -> Lake:
    return Lake.open(load_config(project / "curate.yaml").location)


def run(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.output


def test_a_certificate_is_written_checked_and_refused_after_drift(project: Path) -> None:
    with open_project(project) as lake:
        pairs = fill(lake)
        label(lake, pairs, range(80))
    run("aggregate")
    assert "Guarantee: " in run("certify")
    certificate = read_certificate(project / "certificate.json")
    assert certificate.holds
    assert (certificate.design.looks, certificate.design.revision) == ("any", 1)
    assert [judge.annotator_id for judge in certificate.judges] == ["one", "two"]
    assert [person.answers for person in certificate.people] == [80]
    assert "holds" in run("certify", "--check", "certificate.json")
    before = certificate.set.snapshot
    run("export")
    assert f"| Certificate | `{certificate.hash}`" in (project / "out" / "README.md").read_text()

    with open_project(project) as lake:
        rng = random.Random(3)
        prompts = [
            make_prompt(number).model_copy(update={"source": "elsewhere"}) for number in range(500, 560)
        ]
        responses = [[make_response(prompt, number) for number in range(2)] for prompt in prompts]
        ordered = [sorted(both, key=lambda response: response.response_id) for both in responses]
        with lake.write("new") as writer:
            writer.append("prompts", table(prompts))
            writer.append("responses", table([response for both in responses for response in both]))
            writer.append(
                "judgments",
                table(
                    [
                        judge_pair(a, b, annotator="three", shown="ab", accuracy=1.0, rng=rng)
                        for a, b in ordered
                    ]
                ),
            )
        label(lake, pairs, range(80, 120), accuracy=0.5)
    run("aggregate")
    refusal = run("certify", "--check", "certificate.json", code=1)
    assert re.search(r"three votes now.*mix of categories.*new random labels disagree", refusal, re.DOTALL)
    assert "holds" in run("certify", "--check", "certificate.json", "--against", str(before))

    changed = json.loads((project / "certificate.json").read_text())
    changed["alpha"] = 0.01
    (project / "certificate.json").write_text(json.dumps(changed))
    with pytest.raises(CurateError, match="changed after it had been made"):
        run("certify", "--check", "certificate.json")
    with pytest.raises(CurateError, match="exists"):
        run("certify")


def test_doubtful_labels_are_announced_with_pairs_to_ask_about_and_refused_or_marked(project: Path) -> None:
    with open_project(project) as lake:
        write_fooled_panel(lake)
    settings = yaml.safe_load((project / "curate.yaml").read_text())
    settings["aggregate"]["annotator_model"] = "auto"
    (project / "curate.yaml").write_text(yaml.safe_dump(settings))
    note = run("aggregate")
    assert "worse than chance" in note
    assert "20 pairs whose labels would help most" in note
    assert len(re.findall(r"\)  Question \d+: what is", note)) == 20  # how its prompt begins, beside the ids
    with pytest.raises(CurateError, match=r"doubtful: refuse.*worse than chance"):
        run("export")
    settings["export"][0]["doubtful"] = "mark"
    (project / "curate.yaml").write_text(yaml.safe_dump(settings))
    result = CliRunner().invoke(app, ["export"], catch_exceptions=False)
    assert "warning: " in result.stderr
    assert "worse than chance" in result.stderr
    assert "worse than chance" in (project / "out" / "README.md").read_text()


def test_a_shift_of_the_mix_is_seen_and_growth_in_kind_is_not() -> None:
    assert compute_shift_p({"a": 100, "b": 100}, {"a": 200, "b": 200}) > 0.9
    assert compute_shift_p({"a": 100, "b": 100}, {"a": 100, "b": 180}) < 1e-6
    assert compute_shift_p({"a": 100}, {"a": 100}) == 1.0
    assert compute_shift_p({"a": 50, "b": 50}, {"a": 10, "c": 90}) < 1e-6  # another lake


def test_the_error_test_is_quiet_while_nothing_rises_and_sees_what_does() -> None:
    rng = np.random.default_rng(0)
    alarms = [bool(grow_drift_wealth(rng.random(500) < 0.1, 0.1).max() >= 20) for _ in range(200)]
    assert np.mean(alarms) <= 0.05
    assert all(grow_drift_wealth(rng.random(300) < 0.25, 0.1).max() >= 20 for _ in range(20))
