"""Aggregation in shards gives what one machine gives: random panels with labels, ties, lengths, authors and gaps."""

from __future__ import annotations

import importlib.util
from dataclasses import fields

import numpy as np
import pytest

from curate.aggregate import aggregate_judgments
from curate.aggregate.annotators import fit_model
from curate.aggregate.annotators.result import AnnotatorFit
from curate.aggregate.graph.arcs import net_votes
from curate.aggregate.graph.tally import tally_pairs
from curate.aggregate.shards import denoise_in_shards, find_shards, shard_work
from curate.aggregate.votes import Votes
from curate.config.project import Config
from curate.lake.lake import Lake
from curate.runner import open_runner
from tests.aggregate.test_stage import content

HAS_DASK = importlib.util.find_spec("distributed") is not None
HAS_RAY = importlib.util.find_spec("ray") is not None


def draw_votes(seed: int) -> Votes:
    """Draw a panel: prompts of 1 to 9 responses, pairs left out, judges that tie and lean, people in every third."""
    rng = np.random.default_rng(seed)
    offsets = np.concatenate(([0], np.cumsum(rng.integers(1, 10, 60))))
    quality, judges = rng.normal(size=offsets[-1]), 5
    rows = []
    for prompt in range(60):
        for a in range(offsets[prompt], offsets[prompt + 1]):
            for b in range(a + 1, offsets[prompt + 1]):
                for judge in np.flatnonzero(rng.random(judges) < 0.6):
                    for shown in (1, -1):
                        p = 1 / (1 + np.exp(-(0.5 + judge / 2) * (quality[a] - quality[b]) - 0.4 * shown))
                        says = 0 if rng.random() < 0.08 else 1 if rng.random() < p else -1
                        rows.append((prompt, a, b, judge, shown, says))
                if seed % 3 == 0 and rng.random() < 0.1:
                    rows.append((prompt, a, b, judges, 0, np.sign(quality[a] - quality[b])))
    table = np.array(rows)
    human = np.zeros(judges + 1, np.bool_)
    human[judges] = True
    return Votes(
        offsets=offsets.astype(np.int64),
        prompt=table[:, 0].astype(np.int32),
        a=table[:, 1].astype(np.int32),
        b=table[:, 2].astype(np.int32),
        annotator=table[:, 3].astype(np.int32),
        shown=table[:, 4].astype(np.int8),
        outcome=table[:, 5].astype(np.int8),
        p_a=((table[:, 5] + 1) / 2).astype(np.float32),
        annotators=tuple(f"judge-{k}" for k in range(judges + 1)),
        human=human,
        length=(np.exp(rng.normal(5, 1, offsets[-1])) if seed % 2 else np.zeros(0)).astype(np.float32),
        author=(rng.integers(0, 4, offsets[-1]) if seed % 5 == 0 else np.zeros(0)).astype(np.int32),
    )


def check_equal(one: AnnotatorFit, other: AnnotatorFit) -> None:
    for field in fields(AnnotatorFit):
        first, second = getattr(one, field.name), getattr(other, field.name)
        if isinstance(first, np.ndarray):
            np.testing.assert_allclose(first, second, rtol=0, atol=1e-9, err_msg=field.name)
        else:
            assert first == second, field.name


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("shards", [3, 200])
def test_models_and_graphs_are_those_of_one_machine(seed: int, shards: int) -> None:
    votes = draw_votes(seed)
    tally = tally_pairs(votes)
    whole = denoise_in_shards(tally, net_votes(tally))
    fits = {name: fit_model(name, votes) for name in ("panel", "one_coin", "majority")}
    with shard_work(open_runner(Config.model_validate({"runner": {"kind": "local", "shards": shards}}))):
        assert find_shards() is not None
        graphs = denoise_in_shards(tally, net_votes(tally))
        for name, fit in fits.items():
            check_equal(fit, fit_model(name, votes))
    for name in ("direction", "margin", "order", "rank", "dropped_weight", "prompt_margin", "exact"):
        np.testing.assert_array_equal(getattr(graphs, name), getattr(whole, name), err_msg=name)
    assert graphs.tally is tally


def test_no_votes_in_shards() -> None:
    votes = draw_votes(1)
    empty = votes.select(np.zeros(len(votes), np.bool_))
    with shard_work(open_runner(Config.model_validate({"runner": {"kind": "local", "shards": 3}}))):
        for name in ("panel", "one_coin"):
            assert len(fit_model(name, empty).p_a) == 0


def test_shards_end_with_their_block() -> None:
    with shard_work(open_runner(Config.model_validate({"runner": {"kind": "local"}}))):
        assert find_shards() is None
    assert find_shards() is None


@pytest.fixture(
    params=[
        "local",
        pytest.param("dask", marks=pytest.mark.skipif(not HAS_DASK, reason="distributed is not installed")),
        pytest.param("ray", marks=pytest.mark.skipif(not HAS_RAY, reason="ray is not installed")),
    ]
)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("model", ["majority", "one_coin", "panel"])
def test_the_stage_writes_the_same_tables(sample_lake: Lake, kind: str, model: str) -> None:
    def aggregate(runner: object) -> None:
        with sample_lake.write("clear") as writer:
            writer.delete("runs", "stage = 'aggregate'", [])
        section = {"annotator_model": model, "guarantee": None}
        config = {
            "judge": {"judges": [{"name": "good", "kind": "rule"}]},
            "aggregate": section,
            "runner": runner,
        }
        assert not aggregate_judgments(sample_lake, Config.model_validate(config)).skipped

    aggregate("local")
    before = content(sample_lake)
    aggregate({"kind": kind, "shards": 3} | ({} if kind == "local" else {"workers": 2}))
    assert content(sample_lake) == before
