"""A model that truly sees, in a minute: taught what is in pictures, then reward-trained N-way by `curate train`.

Which caption is right only the picture says (tests/scenes.py), so what the model gets right it has seen. The whole
recipe, with more kinds of captions, is bench/seeing_model.py.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from fastapi.testclient import TestClient

from curate.lake.lake import Lake
from curate.reward.joint_scorer import JointScorer
from curate.reward.scorer import open_reward_model
from curate.serve.app import make_app
from curate.serve.limits import ServerLimits
from curate.train import train_reward_model
from tests.scenes import FAMILIES, KEPT_BACK, SHOWN, ask_question, list_facts
from tests.seeing_model import REQUEST, build_model, save_models, teach_model
from tests.seeing_tasks import draw_tasks, measure_model, write_rows
from tests.train.samples import configured

LEARNT = ("colour",)


@pytest.mark.e2e
def test_a_model_that_sees_is_right_and_falls_to_chance_without_the_picture(
    lake: Lake, tmp_path: Path
) -> None:
    processor, model = build_model(layers=2)
    teach_model(processor, model, steps=90, batch=48, learning_rate=3e-3, families=LEARNT)
    save_models(processor, model, tmp_path)
    write_rows(tmp_path / "data" / "train-00000.jsonl", draw_tasks(300, n=4, seed=1, families=LEARNT))
    options = {
        "row_tokens": 1024,
        "batch_tokens": 2048,
        "learning_rate": 1e-3,
        "epochs": 3,
        "held_out": 0.1,
        "patience": 100,
    }
    config = configured(tmp_path, tmp_path / "backbone", forward="joint", loss={"kind": "best"}, **options)
    summary = train_reward_model(lake, config, tmp_path / "data")
    assert summary.counts.rows_kept == 900  # pairs; none was lost on the way
    scorer = open_reward_model("models/reward", folder=tmp_path, dtype="float32")
    assert isinstance(scorer, JointScorer)
    tasks = draw_tasks(80, n=4, seed=2, families=LEARNT)
    seen, blank = measure_model(scorer, tasks), measure_model(scorer, tasks, pictures="blank")
    assert seen.best > 0.75  # by chance: 0.25
    assert seen.pairs > 0.85
    assert blank.best < 0.45
    assert 0.35 < blank.pairs < 0.65

    # Served, it gives the same scores: the picture travels as a data URI.
    served = open_reward_model("models/reward", folder=tmp_path, dtype="float32", share_prompts=True)
    with TestClient(make_app(served, ServerLimits())) as client:
        for task in tasks[:4]:
            content = [
                {"type": "image_url", "image_url": {"url": task.picture}},
                {"type": "text", "text": REQUEST},
            ]
            body = {
                "messages": [{"role": "user", "content": content}],
                "responses": list(task.question.captions),
            }
            scores = client.post("/score", json=body).json()["scores"]
            best = max(range(4), key=scores.__getitem__)
            assert scores[best] == pytest.approx(max(scores))
            assert scores == pytest.approx(list(score_in_python(scorer, task)), abs=1e-4)


def score_in_python(scorer: JointScorer, task: object) -> list[float]:
    from curate.data.conversation import text_answer
    from curate.reward.scorer import PromptResponses
    from tests.seeing_tasks import Task, make_prompt

    assert isinstance(task, Task)
    request = PromptResponses(make_prompt(task.picture), tuple(map(text_answer, task.question.captions)))
    return [float(score) for score in scorer.score([request])[0]]


@pytest.mark.parametrize("family", FAMILIES)
def test_only_the_picture_says_which_caption_is_right(family: str) -> None:
    rng, places = Random(0), [0] * 4
    for kinds in (SHOWN, KEPT_BACK):
        for _ in range(200):
            question = ask_question(rng, family, kinds=kinds)
            places[question.right] += 1
            true = {fact for fact, _ in list_facts(question.scene)[family]}
            assert question.captions[question.right] in true
            assert true.isdisjoint(
                question.captions[: question.right] + question.captions[question.right + 1 :]
            )
            if kinds is SHOWN:
                words = {" ".join(kind) for kind in KEPT_BACK}
                assert not words & {" ".join(kind) for kind in question.scene.values()}
    assert min(places) > 60  # of 400: each place is right about as often
