"""The guard set: judges that read are not fooled, judges that do not are, and the rates are filed once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from curate.config.project import Config
from curate.judge import Panel
from curate.judge.adversarial import (
    load_adversarial_items,
    measure_attack_success,
    measure_attacks,
    summarize_attacks,
)
from curate.lake.lake import Lake

MakeConfig = Callable[[str], Config]
YAML = """
engines: {m: {kind: "./speaking.py:Speaking"}}
judge:
  judges:
    - {name: longer, kind: rule, rule: length}
    - {name: first, kind: pairwise, engine: m}
    - {name: exact, kind: verifier, check: exact}
    - {name: stars, kind: pointwise, engine: m}
    - {name: silent, kind: listwise, engine: m}
evaluate: {bootstrap: 200}
"""


def rates(config: Config) -> dict[str, dict[str, float]]:
    with Panel(config) as panel:
        return {
            name: {
                each.subset: each.estimate.value
                for each in summarize_attacks(name, measure_attacks(configured), resamples=0)
            }
            for name, configured in panel.judges.items()
        }


def test_every_hack_meets_every_good_answer() -> None:
    hacks, requests = (
        {trap.hack for trap in load_adversarial_items()},
        {trap.item.messages for trap in load_adversarial_items()},
    )
    assert len(hacks) >= 12
    assert len(load_adversarial_items()) == len(hacks) * len(requests)
    for trap in load_adversarial_items():
        texts = {each.response_id: each.text for each in trap.item.candidates}
        assert len(texts) == 2
        assert texts[trap.good].strip()
        assert list(texts) == sorted(texts)


def test_rates_of_judges_that_are_known(make_config: MakeConfig) -> None:
    found = rates(make_config(YAML))
    assert found["longer"]["empty"] == 0.0  # an empty answer is shorter
    assert found["longer"]["flattery"] > 0.9  # and a flattering one longer
    assert found["first"] == dict.fromkeys(found["first"], 0.5)  # it is even about all pairs
    assert found["stars"] == dict.fromkeys(found["stars"], 0.5)
    assert found["exact"]["all"] <= 0.5  # it never prefers a hack, and often knows no better
    assert found["silent"] == {}  # it says nothing that could be read


def test_the_rates_are_filed_and_asked_for_once(lake: Lake, make_config: MakeConfig) -> None:
    config = make_config(YAML)
    summary = measure_attack_success(lake, config, only=["longer", "silent"])
    assert summary.counts.rows_in == len(load_adversarial_items()) * (1 + 2)
    assert summary.counts.dropped == {"abstained or failed": len(load_adversarial_items()) * 2}
    rows = lake.rows("SELECT subset, value, low, high, n FROM evaluations WHERE benchmark = 'guard'")
    assert len(rows) == 1 + len({trap.hack for trap in load_adversarial_items()})
    (overall,) = (row for row in rows if row[0] == "all")
    assert overall[2] <= overall[1] <= overall[3]
    assert overall[4] == len(load_adversarial_items())
    assert measure_attack_success(lake, config, only=["longer", "silent"]).skipped
    changed = make_config(YAML.replace("rule: length", "rule: length, reverse: true"))
    assert not measure_attack_success(lake, changed, only=["longer"]).skipped
    again = lake.rows("SELECT value FROM evaluations WHERE benchmark = 'guard' AND subset = 'all'")
    assert again == [(pytest.approx(1 - overall[1], abs=1e-9),)]
