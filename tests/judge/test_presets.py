"""Presets: all of them can be seated, are nothing but their options, and say where they are from."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from curate.config.project import Config
from curate.judge import Panel
from curate.judge.presets import apply_preset, load_presets

MakeConfig = Callable[[str], Config]
ENGINE = 'engines: {m: {kind: "./speaking.py:Speaking"}}\n'


@pytest.mark.parametrize("name", load_presets())
def test_each_can_be_seated_and_is_its_options(make_config: MakeConfig, name: str) -> None:
    preset = load_presets()[name]
    assert preset.about.endswith(".")
    assert "arXiv" in preset.source
    config = make_config(f"{ENGINE}judge: {{judges: [{{name: x, preset: {name}, engine: m}}]}}")
    spelled = config.model_copy(
        update={
            "judge": config.judge.model_copy(
                update={"judges": [{"name": "x", "engine": "m", **preset.options}]}
            )
        }
    )
    assert Panel(config).judges["x"].revision == Panel(spelled).judges["x"].revision


def test_options_override_a_preset() -> None:
    found = apply_preset({"name": "x", "preset": "carmo", "scale": [1, 5]}, where="here")
    assert found == {"name": "x", "scale": [1, 5]} | {
        key: value for key, value in load_presets()["carmo"].options.items() if key != "scale"
    }
    assert apply_preset({"name": "x", "kind": "rule"}, where="here") == {"name": "x", "kind": "rule"}


def test_the_six_that_are_promised_are_there() -> None:
    promised = {"vanilla", "metrics-reference", "rm-r1", "reward-anything", "carmo", "reward-dance"}
    assert promised == set(load_presets())
