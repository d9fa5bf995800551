"""Reward models as one annotator: the arithmetic, and through a lake."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.aggregate import aggregate_judgments
from curate.aggregate.rewards import fuse_rewards
from curate.aggregate.rewards.fused import NAME
from curate.aggregate.votes import Votes
from curate.config.aggregate import RewardsSection
from curate.config.project import Config
from curate.lake.lake import Lake
from curate.records import Judgment
from tests.conftest import judge_pair, make_prompt, make_response, table


def rated_votes(scores: np.ndarray, sizes: list[int]) -> Votes:
    """One vote of each model on each pair that it rated, and one of a judge, who always says a."""
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    models = scores.shape[1]
    rows = []
    for prompt, size in enumerate(sizes):
        for i in range(offsets[prompt], offsets[prompt] + size):
            for j in range(i + 1, offsets[prompt] + size):
                rows.append((prompt, i, j, models, 1))
                known = [k for k in range(models) if not np.isnan(scores[[i, j], k]).any()]
                rows += [(prompt, i, j, k, np.sign(scores[i, k] - scores[j, k])) for k in known]
    prompt, a, b, annotator, outcome = np.array(rows, np.int64).T
    return Votes(
        offsets=offsets.astype(np.int64),
        prompt=prompt.astype(np.int32),
        a=a.astype(np.int32),
        b=b.astype(np.int32),
        annotator=annotator.astype(np.int32),
        shown=np.zeros(len(a), np.int8),
        outcome=outcome.astype(np.int8),
        p_a=((1 + outcome) / 2).astype(np.float32),
        annotators=(*(f"rm-{k}" for k in range(models)), "judge"),
        human=np.zeros(models + 1, np.bool_),
    )


def names(models: int) -> list[str]:
    return [f"rm-{k}" for k in range(models)]


@given(st.integers(0, 10_000), st.sampled_from(["mean", "median", "minimum", "mean-sd", "log-sigmoid"]))
def test_one_vote_a_pair_for_all_models_and_the_others_stay(seed, how):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(2, 5, 4).tolist()
    scores = rng.normal(size=(sum(sizes), 3))
    scores[rng.random(scores.shape) < 0.1] = np.nan
    votes = rated_votes(scores, sizes)
    fused = fuse_rewards(votes, scores, names(3), RewardsSection(annotators=names(3), combine=how)).votes
    who = np.array(fused.annotators)[fused.annotator]
    assert set(who) <= {"judge", NAME}
    rated = {(a, b) for a, b, k in zip(votes.a, votes.b, votes.annotator, strict=True) if k < 3}
    ours = Counter(zip(fused.a[who == NAME], fused.b[who == NAME], strict=True))
    assert set(ours) == rated
    assert set(ours.values()) <= {1}
    assert int(np.sum(who == "judge")) == int(np.sum(votes.annotator == 3))
    assert np.all(np.diff(fused.prompt) >= 0)
    assert np.array_equal(np.sign(fused.p_a - np.float32(0.5))[who == NAME], fused.outcome[who == NAME])


def test_scales_are_made_alike_and_a_critic_has_its_say():
    """Responses 0 and 1: the first model, on a scale of thousands, slightly for 0; the second clearly for 1."""
    scores = np.array([[10.0, -1.0], [0.0, 1.0], [-9000.0, 0.0], [9000.0, 0.0]])
    votes = rated_votes(scores, [4])
    for how in ("mean", "minimum"):
        fused = fuse_rewards(votes, scores, names(2), RewardsSection(annotators=names(2), combine=how)).votes
        mine = (fused.annotator == 3) & (fused.a == 0) & (fused.b == 1)
        assert fused.outcome[mine].tolist() == [-1]


@given(st.integers(0, 10_000), st.sampled_from([0.6, 0.75, 1.0]))
def test_conflicts_are_the_pairs_with_too_little_agreement(seed, least):
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(6, 4))
    votes = rated_votes(scores, [3, 3])
    section = RewardsSection(annotators=names(4), agreement=least)
    found = fuse_rewards(votes, scores, names(4), section).conflicting
    expected = []
    for a, b in sorted({(int(a), int(b)) for a, b in zip(votes.a, votes.b, strict=True)}):
        ahead = int(np.sum(scores[a] > scores[b]))
        if max(ahead, 4 - ahead) / 4 < least:
            expected.append(a * 6 + b)
    assert found.tolist() == expected


def test_a_model_that_rated_nothing_is_named_and_keeps_its_votes():
    scores = np.array([[1.0, np.nan], [0.0, np.nan]])
    votes = rated_votes(np.array([[1.0, 2.0], [0.0, 1.0]]), [2])
    fused = fuse_rewards(votes, scores, names(2), RewardsSection(annotators=names(2)))
    assert fused.unrated == ("rm-1",)
    assert Counter(np.array(fused.votes.annotators)[fused.votes.annotator]) == {
        NAME: 1,
        "rm-1": 1,
        "judge": 1,
    }


def lake_with_ratings(lake: Lake) -> None:
    """12 prompts of three responses: a judge, and three models, of which the third contradicts the others on q0."""
    rng = random.Random(0)
    prompts = [make_prompt(number) for number in range(12)]
    responses = [make_response(prompt, number) for prompt in prompts for number in range(3)]
    said = [
        judge_pair(a, b, annotator="judge", shown="ab", accuracy=1.0, rng=rng)
        for k in range(0, len(responses), 3)
        for a in responses[k : k + 3]
        for b in responses[k : k + 3]
        if a.response_id < b.response_id
    ]
    ratings = []
    for response in responses:
        number = int(response.model.removeprefix("model-"))
        for model in range(3):
            turned = model == 2 and response.prompt_id == prompts[0].prompt_id
            ratings.append(
                Judgment(
                    judgment_id=f"{model}-{response.response_id}",
                    prompt_id=response.prompt_id,
                    annotator_id=f"rm-{model}",
                    kind="reward-model",
                    form="pointwise",
                    response_a=response.response_id,
                    outcome="tie",
                    score=float(number if turned else -number) * 10**model,
                    revision="imported",
                    run_id="sample",
                )
            )
    with lake.write("fill") as writer:
        writer.append("prompts", table(prompts))
        writer.append("responses", table(responses))
        writer.append("judgments", table([*said, *ratings]))


@pytest.mark.parametrize("model", ["majority", "panel"])
def test_three_models_are_one_annotator_and_conflicts_are_routed(lake: Lake, model: str) -> None:
    lake_with_ratings(lake)
    rewards = {"annotators": [*names(3), "nobody"], "agreement": 1.0}
    config = Config.model_validate({"aggregate": {"annotator_model": model, "rewards": rewards}})
    summary = aggregate_judgments(lake, config)
    assert "no ratings by nobody yet" in summary.note
    routed = lake.rows(
        "SELECT prompts.key, count(*) FROM preferences JOIN prompts USING (prompt_id) "
        "WHERE status = 'routed' AND reason = 'the reward models contradict each other' GROUP BY 1"
    )
    assert routed == [("q0", 3)]
    assert lake.rows("SELECT DISTINCT n_judgments FROM preferences") == [(2,)]
    assert lake.rows("SELECT annotator_id, kind, n FROM annotators ORDER BY 1") == [
        ("judge", "llm", 36),
        (NAME, "reward-model", 36),
        *((f"rm-{k}", "reward-model", 36) for k in range(3)),
    ]
    assert aggregate_judgments(lake, config).skipped
    plain = Config.model_validate({"aggregate": {"annotator_model": model}})
    aggregate_judgments(lake, plain)
    assert lake.rows("SELECT DISTINCT n_judgments FROM preferences") == [(4,)]
    assert lake.value("SELECT count(*) FROM preferences WHERE status = 'routed'") == 0
