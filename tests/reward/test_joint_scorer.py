"""Joint models at inference: all responses of a prompt in one pass, in named orders, whoever asks."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from curate.cli.app import main
from curate.config.evaluate import Benchmark, EvaluateSection
from curate.config.project import Config
from curate.core.errors import CurateError
from curate.data.conversation import Conversation, text_answer
from curate.engine.base import build_chat
from curate.engine.registry import Engines
from curate.judge import CandidateResponse, PromptItem
from curate.judge.dry_run import CountingEngines
from curate.judge.reward_model import RewardModelJudge, RewardModelOptions
from curate.lake.lake import Lake, Location
from curate.pipeline.evaluate import open_subjects
from curate.pipeline.score_file import ScoringOptions, choose_best, write_scored_file
from curate.pipeline.scoring import score_responses
from curate.reward.ensemble import open_ensemble
from curate.reward.joint_scorer import JointScorer
from curate.reward.packing import pack_jointly
from curate.reward.response_order import OrderEffect, OrderProtocol
from curate.reward.scorer import EngineScorer, PromptResponses, open_reward_model
from curate.reward.tokens import EncodedResponses
from curate.serve import reward_function
from curate.serve.app import make_app
from curate.serve.limits import ServerLimits
from curate.train import train_reward_model
from tests.train.samples import configured, ranking_rows, written

ASKED = build_chat(("user", "Which one?"))
TEXTS = ("fox quick", "lazy dog over", "the quick brown fox", "dog")
ANSWERS: tuple[Conversation, ...] = tuple(map(text_answer, TEXTS))
PAIRS = Benchmark(name="pairs", source="pairs.jsonl", format="auto")
REQUEST = PromptResponses(ASKED, ANSWERS)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, make_model: Callable[..., Path]) -> Config:
    """A project whose model was trained jointly on rankings."""
    root = tmp_path_factory.mktemp("joint")
    config = configured(root, make_model(), forward="joint", loss={"kind": "best"})
    with Lake.open(Location.under(root / "lake")) as lake:
        train_reward_model(lake, config, written(root / "data", ranking_rows()))
    return config


@pytest.fixture(scope="module")
def model(trained: Config) -> Path:
    return trained.resolve("models/reward")


def opened(model: Path, order: str | None = None) -> JointScorer:
    scorer = open_reward_model(str(model), folder=Path(), order=order)
    assert isinstance(scorer, JointScorer)
    return scorer


def score(model: Path, order: str | None = None, answers: tuple[Conversation, ...] = ANSWERS) -> Any:
    return opened(model, order).score([PromptResponses(ASKED, answers)])[0]


def test_the_scores_are_those_of_one_joint_sequence(model: Path) -> None:
    scorer = opened(model)
    decoder = scorer.files.decoder
    encoded = decoder.encoder.encode_responses(ASKED, ANSWERS, separator=decoder.separator)
    assert isinstance(encoded, EncodedResponses)
    assert decoder.separator is not None
    orders = scorer.order.list_orders(
        np.array(encoded.prompt).tobytes(), [np.array(answer).tobytes() for answer in encoded.responses]
    )
    row = pack_jointly([encoded.prompt], [encoded.responses], decoder.separator, orders=[orders])
    with torch.no_grad():
        expected = np.empty(4)
        expected[list(orders[0])] = decoder.model.score(row).numpy()
    found = scorer.score([REQUEST])[0]
    assert np.allclose(found, expected, atol=1e-6)
    assert np.ptp(found) > 1e-4
    alone = np.array([score(model, answers=(answer,))[0] for answer in ANSWERS])
    assert np.abs(alone - found).max() > 1e-4  # the others count


@pytest.mark.parametrize("order", ["one", "average:4", "rotations"])
def test_neither_the_caller_s_order_nor_the_batch_changes_a_score(model: Path, order: str) -> None:
    scores = score(model, order)
    turned = score(model, order, ANSWERS[::-1])
    assert np.allclose(turned[::-1], scores, atol=1e-5)
    scorer = opened(model, order)
    other = PromptResponses(build_chat(("user", "And now?")), ANSWERS[:2])
    assert np.allclose(scorer.score([other, REQUEST, REQUEST])[1], scores, atol=1e-5)
    equal = score(model, order, (*ANSWERS, ANSWERS[1]))
    assert equal[1] == equal[4]
    assert opened(model, order).revision == scorer.revision
    assert len({opened(model, name).revision for name in ("one", "average:4", "rotations")}) == 3


def test_orders_are_as_their_protocol_says() -> None:
    prompt, responses = b"p", [bytes([number]) for number in range(5)]
    one = OrderProtocol.parse("one").list_orders(prompt, responses)
    assert [sorted(order) for order in one] == [[0, 1, 2, 3, 4]]
    rotations = OrderProtocol.parse("rotations").list_orders(prompt, responses)
    for place in range(5):  # each response once in each place
        assert sorted(order[place] for order in rotations) == [0, 1, 2, 3, 4]
    average = OrderProtocol.parse("average:4").list_orders(prompt, responses)
    assert average[0] == one[0]
    assert [order[::-1] for order in average[::2]] == average[1::2]
    with pytest.raises(CurateError, match="take one, average:K"):
        OrderProtocol.parse("average")


def test_the_effect_of_order_is_measured(model: Path) -> None:
    effect = OrderEffect()
    effect.add(np.array([[2.0, 1.0, 0.0], [2.0, 0.0, 1.0]]))  # the last two turn around
    effect.add(np.array([[1.0, 0.0], [0.0, 1.0]]))
    assert (effect.prompts, effect.other_best, effect.pairs, effect.turned) == (2, 1, 4, 2)
    assert "50.0% of 2 prompts change their best response and 50.0% of 4 pairs turn" in effect.describe()
    assert effect.ratio == pytest.approx(np.sqrt((1 / 6 + 0.25) / 0.5), abs=1e-3)
    scorer = opened(model, "rotations")
    scorer.score([REQUEST])
    assert scorer.order_effect.startswith("by the order of the responses")
    assert opened(model).order_effect == ""


def test_the_judge_asks_about_pairs_of_one_pass(model: Path, tmp_path: Path) -> None:
    options = RewardModelOptions(name="rm", kind="reward-model", model=str(model), order="average:2")
    judge = RewardModelJudge(options, Engines({}, tmp_path))
    candidates = tuple(CandidateResponse(f"r{at}", text) for at, text in enumerate(TEXTS))
    item = PromptItem("unseen", ASKED, None, candidates)
    questions = list(judge.questions(item))
    assert [question.form for question in questions] == ["pairwise"] * 6
    found = score(model, "average:2")
    answers = judge.answer(questions)
    for question, answer in zip(questions, answers, strict=True):
        margin = found[int(question.a.response_id[1])] - found[int(question.b.response_id[1])]
        assert answer.score == pytest.approx(margin, abs=1e-5)
    some = judge.answer(questions[4:])  # those that were answered already are still in view
    assert [answer.p_a for answer in some] == [answer.p_a for answer in answers[4:]]
    assert sum(answer.tokens_in for answer in answers) > 0
    assert "turn around" in judge.note
    other = RewardModelJudge(options.model_copy(update={"order": None}), Engines({}, tmp_path))
    assert other.revision("") != judge.revision("")


def test_an_estimate_opens_no_model(model: Path, tmp_path: Path) -> None:
    engines = CountingEngines(Engines({}, tmp_path))
    judge = RewardModelJudge(RewardModelOptions(name="rm", kind="reward-model", model=str(model)), engines)
    assert isinstance(judge._scorer, EngineScorer)
    item = PromptItem(
        "unseen", ASKED, None, tuple(CandidateResponse(f"r{at}", text) for at, text in enumerate(TEXTS))
    )
    assert len(judge.answer(list(judge.questions(item)))) == 6
    assert sum(engine.calls for engine in engines.by_id.values()) == 4


def test_files_best_of_n_and_python_score_rows_together(model: Path, tmp_path: Path) -> None:
    rows = [{"prompt": "Which one?", "responses": list(TEXTS)}]
    source = tmp_path / "rows.jsonl"
    source.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    options = ScoringOptions(models=[str(model)], order="rotations")
    expected = score(model, "rotations")
    summary = write_scored_file(source, tmp_path / "scored.jsonl", options)
    assert json.loads((tmp_path / "scored.jsonl").read_text())["scores"] == pytest.approx(
        list(expected), abs=1e-5
    )
    assert "turn around" in " ".join(summary.losses)
    write_scored_file(source, tmp_path / "best.jsonl", options, write_row=choose_best)
    assert json.loads((tmp_path / "best.jsonl").read_text())["best"] == int(expected.argmax())
    import polars as pl

    assert np.allclose(score_responses(model, pl.DataFrame(rows), order="rotations"), expected, atol=1e-5)


def test_python_groups_rows_with_one_prompt(model: Path) -> None:
    asked = ["Which one?", "And now?", *["Which one?"] * 3]
    texts = [TEXTS[0], "other", *TEXTS[1:]]
    rows = [{"prompt": prompt, "response": text} for prompt, text in zip(asked, texts, strict=True)]
    found = score_responses(model, rows)
    assert [found[0], *found[2:]] == pytest.approx(list(score(model)), abs=1e-5)


def test_evaluate_says_what_the_order_changed(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    row = {"prompt": "Which one?", "chosen": TEXTS[0], "rejected": TEXTS[1]}
    (tmp_path / "pairs.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    command = ["curate", "evaluate", str(model), "-b", "pairs.jsonl", "--order", "rotations"]
    monkeypatch.setattr("sys.argv", command)
    with contextlib.suppress(SystemExit):
        main()
    said = " ".join(capsys.readouterr().out.split())
    assert "by the order of the responses" in said
    config = Config(evaluate=EvaluateSection(models=["nothing"], order="rotations", benchmarks=[PAIRS]))
    object.__setattr__(config, "_folder", tmp_path)
    with (
        pytest.raises(CurateError, match="no model of `evaluate` was trained with `forward: joint`"),
        open_subjects(config),
    ):
        pass


def test_the_server_scores_the_rows_of_one_prompt_together(model: Path) -> None:
    import asyncio

    import httpx

    scorer = open_reward_model(str(model), folder=Path(), share_prompts=True)
    expected = list(score(model))
    alone = score(model, answers=ANSWERS[:1])[0]
    chats = [
        scorer.rendered.chat.tokenizer.apply_chat_template(  # type: ignore[attr-defined]
            [{"role": "user", "content": "Which one?"}, {"role": "assistant", "content": text}],
            tokenize=False,
        )
        for text in TEXTS
    ]
    rollouts = [
        {
            "responses_create_params": {"input": "Which one?"},
            "response": {"output": [{"type": "message", "role": "assistant", "content": text}]},
        }
        for text in TEXTS
    ]

    async def ask() -> None:
        application = make_app(scorer, ServerLimits(cohort=4))
        transport = httpx.ASGITransport(application)
        async with (
            application.router.lifespan_context(application),
            httpx.AsyncClient(transport=transport, base_url="http://test", timeout=60) as client,
        ):

            async def post(path: str, body: Any) -> Any:
                answer = await client.post(path, json=body)
                assert answer.status_code == 200, answer.text
                return answer.json()

            body: dict[str, Any] = {"prompt": "Which one?", "responses": list(TEXTS)}
            assert (await post("/score", body))["scores"] == pytest.approx(expected, abs=1e-5)
            # Two prompts whose rows are mixed, and one alone.
            mixed = {
                "prompts": ["Which one?", "And now?", *["Which one?"] * 3],
                "completions": [TEXTS[0], "other", *TEXTS[1:]],
            }
            rewards = (await post("/rewards", mixed))["rewards"]
            assert [*rewards[:1], *rewards[2:]] == pytest.approx(expected, abs=1e-5)
            data = (await post("/classify", {"input": chats}))["data"]
            assert [row["probs"][0] for row in data] == pytest.approx(expected, abs=1e-5)
            single = (await post("/classify", {"input": chats[:1]}))["data"]
            assert single[0]["probs"][0] == pytest.approx(alone, abs=1e-5)
            answers = await asyncio.gather(*(post("/verify", rollout) for rollout in rollouts))
            assert [answer["reward"] for answer in answers] == pytest.approx(expected, abs=1e-5)

    asyncio.run(ask())


def test_a_reward_function_scores_the_completions_to_a_prompt_together(model: Path) -> None:
    reward = reward_function(model, order="average:2")
    prompts = ["Which one?", "And now?", *["Which one?"] * 3]
    found = reward(prompts=prompts, completions=[TEXTS[0], "other", *TEXTS[1:]])
    assert [found[0], *found[2:]] == pytest.approx(list(score(model, "average:2")), abs=1e-5)


def test_an_ensemble_of_joint_models_is_joint(
    model: Path, make_model: Callable[..., Path], tmp_path: Path
) -> None:
    options: dict[str, Any] = {"folder": Path(), "dtype": "auto", "budget": 4096, "max_length": None}
    both = open_ensemble([str(model), str(model)], penalty=0.5, order="rotations", **options)
    assert both.score([REQUEST])[0] == pytest.approx(score(model, "rotations"), abs=1e-5)
    with pytest.raises(CurateError, match="some were trained with `forward: joint`"):
        open_ensemble([str(model), str(make_model(head="reward"))], penalty=0.5, **options)


def test_an_order_for_a_model_that_has_none_is_refused(make_model: Callable[..., Path]) -> None:
    with pytest.raises(CurateError, match="scores each response alone, so their order changes nothing"):
        open_reward_model(str(make_model(head="reward")), folder=Path(), order="rotations")
    with pytest.raises(ValueError, match=r"`order` is for a `model`"):
        RewardModelOptions(name="rm", kind="reward-model", engine="e", order="one")
