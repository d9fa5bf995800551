"""Mistakes in the panel's part of curate.yaml show before any work, and say what to do."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from curate.config.project import Config
from curate.core.errors import CurateError
from curate.engine import build_engine_schemas
from curate.judge import Panel, check_judges, judge_schemas
from curate.reward.embedding_reward import EmbeddingRewardConfig

MakeConfig = Callable[[str], Config]
GOOD = '{engines: {m: {kind: "./scripted.py:Scripted"}}, judge: {judges: [{name: x, kind: pairwise, engine: m}]}}'


@pytest.mark.parametrize(
    ("judge", "said"),
    [
        ("kind: pairwsie", r"`judge\.judges\[0\]\.kind` is 'pairwsie', .*did you mean `pairwise`\?"),
        (
            "kind: zzz",
            r"no kind of judge: known are likelihood, listwise, meta, pairwise, pointwise, reference",
        ),
        ("rule: length", r"`judge\.judges\[0\]\.kind` is missing: name a kind of judge"),
        ("kind: pairwise", r"`judge\.judges\[0\]\.engine` is missing"),
        ("kind: pairwise, engine: mm", r"`engines` declares no such engine: did you mean `m`\?"),
        (
            "kind: pairwise, engine: m, templte: x",
            r"unknown key `judge\.judges\[0\]\.templte`: did you mean `template`",
        ),
        (
            "kind: pairwise, engine: m, tie_band: 0.7",
            r"`judge\.judges\[0\]\.tie_band` is 0\.7: .*less than 0\.5",
        ),
        ("kind: rule, rule: lenght", r"`judge\.judges\[0\]\.rule` is 'lenght', .*did you mean `length`\?"),
        ("kind: reward-model", r"name either a `model` or an `engine`"),
        (
            "kind: reward-model, engine: m",
            r"Engine 'm' cannot score a conversation as a reward model: it can give",
        ),
        ("kind: reference, metric: embedding, engine: m", r"Engine 'm' cannot embed texts"),
        ("kind: reward-model, model: pypi:nothing_here", r"run `pip install nothing-here`"),
        ("kind: pairwise, engine: m, samples: 3", r"`samples` above 1 needs something that is drawn"),
        ("kind: pairwise, engine: m, reasoning: true", r"Engine 'm' cannot generate text"),
        ("kind: pointwise, engine: m, scale: [1, 10]", r"scale` is .*from a digit to a higher digit"),
        ("kind: pointwise, engine: m, aspects: {x: y}", r"Engine 'm' cannot generate text"),
        ("kind: listwise, engine: m", r"Engine 'm' cannot generate text"),
        ("kind: likelihood, method: pmi, engine: m", r"Engine 'm' cannot give the log-likelihood"),
        ("kind: likelihood, method: ratio, engine: m", r"`baseline` is needed for method: ratio"),
        ("kind: verifier, check: words", r"check: words needs `expect`, or `meta`"),
        ("kind: verifier, check: words, expect: 3", r"`expect` is no pair \[least, most\]"),
        ("kind: verifier, check: regex, expect: '('", r"`expect` is no regular expression"),
        ("kind: verifier, check: json-schema, expect: {type: nothing}", r"`expect` is no JSON Schema"),
        ("preset: carmoo, engine: m", r"`judge\.judges\[0\]\.preset` is 'carmoo', .*did you mean `carmo`\?"),
        ("preset: carmo, kind: pairwise, engine: m", r"preset 'carmo', which is of kind pointwise"),
        ('kind: "./nowhere.py:Mine"', r"cannot be loaded: there is no .*nowhere\.py"),
        ('kind: "no.such.module:Mine"', r"cannot be loaded: No module named"),
        (
            'kind: "./scripted.py:Scripted"',
            r"has no class Scripted that is derived from curate\.judge\.base\.Judge",
        ),
    ],
)
def test_mistakes(make_config: MakeConfig, judge: str, said: str) -> None:
    text = (
        f'{{engines: {{m: {{kind: "./scripted.py:Scripted"}}}}, judge: {{judges: [{{name: x, {judge}}}]}}}}'
    )
    with pytest.raises(CurateError, match=said):
        check_judges(make_config(text))


@pytest.mark.parametrize(
    ("engine", "said"),
    [
        (
            "{kind: transformer, model: x/y}",
            r"`engines\.m\.kind` is 'transformer', .*did you mean `transformers`",
        ),
        ("{kind: transformers}", r"`engines\.m\.model` is missing"),
        (
            "{kind: transformers, model: x/y, dtyp: auto}",
            r"unknown key `engines\.m\.dtyp`: did you mean `dtype`",
        ),
        ("{kind: transformers, model: nobody/nothing}", r"cannot be had from the hub"),
        ("{kind: replay, path: no.jsonl}", r"but there is no such file"),
    ],
)
def test_mistakes_of_engines_show_even_if_no_judge_uses_them(
    make_config: MakeConfig, engine: str, said: str
) -> None:
    with pytest.raises(CurateError, match=said):
        check_judges(make_config(f"engines: {{m: {engine}}}"))


def test_the_trained_model_joins_the_panel(make_config: MakeConfig, tmp_path: Path) -> None:
    config = make_config(
        "{train: {path: reward, judge: ours}, judge: {judges: [{name: l, kind: rule, rule: length}]}}"
    )
    assert list(Panel(config).judges) == ["l"]
    (tmp_path / "reward").mkdir()
    trained = EmbeddingRewardConfig(
        embedder="e",
        embedder_digest="",
        dimension=1,
        hidden=1,
        folds=2,
        seed=0,
        epochs=[],
        fingerprint="",
        metrics={},
    )
    (tmp_path / "reward" / "config.json").write_text(json.dumps(asdict(trained)))
    assert list(Panel(config).judges) == ["l", "ours"]
    clash = make_config(
        "{train: {path: reward, judge: l}, judge: {judges: [{name: l, kind: rule, rule: length}]}}"
    )
    with pytest.raises(
        CurateError, match=r"`train\.judge` is 'l', but `judge\.judges` has a judge of that name"
    ):
        check_judges(clash)


def test_two_names_for_one_model_are_one_engine(make_config: MakeConfig) -> None:
    config = make_config(
        'engines: {a: {kind: "./scripted.py:Scripted"}, b: {kind: "./scripted.py:Scripted"}}'
    )
    engines = Panel(config).engines
    assert engines.get("a") is engines.get("b")


def test_schemas_hold_every_option(make_config: MakeConfig) -> None:
    assert set(judge_schemas()) == {
        *(
            "likelihood",
            "listwise",
            "meta",
            "pairwise",
            "pointwise",
            "reference",
            "reward-model",
            "rubric",
            "rule",
            "verifier",
        )
    }
    assert set(build_engine_schemas()) == {"openai", "replay", "transformers", "vllm"}
    for kind, schema in (judge_schemas() | build_engine_schemas()).items():
        assert schema["additionalProperties"] is False
        assert schema["properties"]["kind"] == {"const": kind}
        json.dumps(schema)
    assert "tie_band" in judge_schemas()["pairwise"]["properties"]


def test_nothing_heavy_is_imported_before_it_is_needed(make_config: MakeConfig, tmp_path: Path) -> None:
    make_config(GOOD)
    program = (
        "import sys; from pathlib import Path; from curate.config.project import load_config;"
        "from curate.judge import Panel;"
        f"print(Panel(load_config(Path({str(tmp_path / 'curate.yaml')!r}))).judges['x'].revision);"
        "print([m for m in ('torch', 'transformers', 'sentence_transformers', 'numba') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines()[1] == "[]"
