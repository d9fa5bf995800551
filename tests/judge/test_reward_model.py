"""Reward models on the panel: each response is scored once, and pairs follow from the differences."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from curate.aggregate import aggregate_judgments
from curate.config.project import Config
from curate.core.errors import CurateError
from curate.data.judgments import JudgmentStatement
from curate.data.pair_statements import list_pair_statements
from curate.engine import Engines, Failure, build_chat
from curate.engine.base import Chat, Score
from curate.ingest import ingest_sources
from curate.judge import CandidateResponse, PromptItem, Question, judge_responses
from curate.judge.reward_model import RewardModelJudge, RewardModelOptions
from curate.lake.lake import Lake
from curate.reward.embedding_reward import EmbeddingRewardConfig
from curate.reward.scorer import EngineScorer
from curate.reward.trained_prompts import save_trained_prompts

MakeModel = Callable[..., Path]
TEXTS = ["A", "the quick brown fox", "no", "word " * 600]
CONTEST = PromptItem(
    "p",
    build_chat(("user", "which?")),
    None,
    tuple(CandidateResponse(f"r{at}", text) for at, text in enumerate(TEXTS)),
)


@pytest.fixture
def judge(make_model: MakeModel, tmp_path: Path) -> RewardModelJudge:
    options = RewardModelOptions(
        name="rm", kind="reward-model", model=str(make_model(head="reward")), temperature=2.0, tie_band=1e-9
    )
    return RewardModelJudge(options, Engines({}, tmp_path))


def test_pairs_follow_from_scores(judge: RewardModelJudge, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(judge._scorer, EngineScorer)
    engine = judge._scorer.engine
    asked: list[Chat] = []
    score = engine.score
    monkeypatch.setattr(engine, "score", lambda chats: asked.extend(chats) or score(chats))
    questions = list(judge.questions(CONTEST))
    answers = judge.answer(questions)
    assert len(questions) == 6
    assert {question.shown for question in questions} == {None}
    assert len(asked) == 4  # each response once
    found = {
        candidate.response_id: each for candidate, each in zip(CONTEST.candidates, score(asked), strict=True)
    }
    for question, answer in zip(questions, answers, strict=True):
        a, b = (found[candidate.response_id] for candidate in question.asked)
        if isinstance(a, Failure) or isinstance(b, Failure):
            assert answer.outcome == "failed"
            assert answer.permanent
            continue
        assert answer.p_a == pytest.approx(1 / (1 + math.exp(-(a.value - b.value) / 2)), abs=1e-5)
        assert answer.score == pytest.approx(a.value - b.value, abs=1e-5)
        assert answer.outcome == ("a" if a.value > b.value else "b")
    tokens = sum(each.tokens_in for each in found.values() if isinstance(each, Score))
    assert sum(answer.tokens_in for answer in answers) == tokens


def test_each_response_is_rated_and_pairs_are_those_of_bradley_and_terry(
    make_model: MakeModel, tmp_path: Path
) -> None:
    options = RewardModelOptions(
        name="rm", kind="reward-model", model=str(make_model(head="reward")), temperature=2.0
    )
    judge = RewardModelJudge(options, Engines({}, tmp_path))
    questions = list(judge.questions(CONTEST))
    assert [(question.form, len(question.asked)) for question in questions] == [("pointwise", 1)] * 4
    answers = judge.answer(questions)
    rated = {
        question.a.response_id: answer.score
        for question, answer in zip(questions, answers, strict=True)
        if answer.outcome == "a"
    }
    assert len(rated) >= 2
    said = [
        JudgmentStatement(
            "p", "rm", "reward-model", "r", "pointwise", (question.a.response_id,), answer.outcome,
            score=answer.score, score_sd=answer.score_sd,
        )
        for question, answer in zip(questions, answers, strict=True)
    ]  # fmt: skip
    pairs = list_pair_statements(said)
    assert len(pairs) == len(rated) * (len(rated) - 1) // 2
    for pair in pairs:
        margin = rated[pair.a] - rated[pair.b]
        assert pair.p_a == pytest.approx(1 / (1 + math.exp(-margin / 2)), abs=1e-5)


def test_a_fine_tuned_backbone_abstains_on_its_training_prompts(
    make_model: MakeModel, tmp_path: Path
) -> None:
    folder = make_model(head="reward")
    (folder / "training.json").write_text(json.dumps({"format": "curate-backbone-reward/2", "files": []}))
    options = RewardModelOptions(name="rm", kind="reward-model", model=str(folder))
    with pytest.raises(CurateError, match="does not say which prompts it was trained on"):
        RewardModelJudge(options, Engines({}, tmp_path))
    save_trained_prompts(folder, ["p"])
    judge = RewardModelJudge(options, Engines({}, tmp_path))
    unseen = replace(CONTEST, prompt_id="q")
    seen, new = (judge.answer(list(judge.questions(item))) for item in (CONTEST, unseen))
    assert {answer.outcome for answer in seen} == {"abstain"}
    assert all("trained on the labels of this prompt" in str(answer.raw) for answer in seen)
    assert new[0].outcome == "a"
    save_trained_prompts(folder, ["p", "other"])
    assert RewardModelJudge(options, Engines({}, tmp_path)).revision("") != judge.revision("")


def test_a_prompt_of_the_training_set_is_judged_by_the_fold_that_has_not_seen_it(
    make_model: MakeModel, tmp_path: Path
) -> None:
    folder = make_model(head="reward")
    models = [folder, folder / "folds" / "1", folder / "folds" / "2"]
    others = [make_model(head="reward", seed=seed) for seed in (1, 2)]
    for model, other in zip(models[1:], others, strict=True):
        shutil.copytree(other, model)
    for model, prompts in zip(models, (["p", "q"], ["q"], ["p"]), strict=True):
        (model / "training.json").write_text(json.dumps({"format": "curate-backbone-reward/2", "files": []}))
        save_trained_prompts(model, prompts)
    judge = RewardModelJudge(
        RewardModelOptions(name="rm", kind="reward-model", model=str(folder)), Engines({}, tmp_path)
    )
    items = [replace(CONTEST, prompt_id=name) for name in "pqr"]  # seen by fold 2, by fold 1, by none
    answers = judge.answer([question for item in items for question in judge.questions(item)])
    plain = make_model(head="reward")
    alone = [
        RewardModelJudge(
            RewardModelOptions(name="rm", kind="reward-model", model=str(model)), Engines({}, tmp_path)
        )
        for model in (*others, plain)
    ]
    expected = [answer for one in alone for answer in one.answer(list(one.questions(CONTEST)))]
    assert [answer.score for answer in answers] == [answer.score for answer in expected]
    assert len({answer.score for answer in answers[:9:4]}) == 3  # three models
    save_trained_prompts(models[1], ["p", "q"])
    save_trained_prompts(models[2], ["p", "q"])
    again = RewardModelJudge(judge.options, Engines({}, tmp_path))
    assert {answer.outcome for answer in again.answer(list(again.questions(CONTEST)))} == {"abstain"}


def test_in_contrast_to_other_prompts_a_rating_is_a_normalised_one(
    make_model: MakeModel, make_config: Callable[[str], Config], tmp_path: Path
) -> None:
    """TextNorm, from curate.yaml to the lake; a prompt without others to compare with has no rating."""
    folder = make_model(head="reward", max_position_embeddings=512)
    rows = [
        {"id": "known", "prompt": "a fox", "meta": {"others": ["a dog", "the lazy fox"]}},
        {"id": "bare", "prompt": "a dog"},
        {"id": "odd", "prompt": "the dog", "meta": {"others": "a fox"}},
    ]
    for row in rows:
        row["responses"] = [{"id": f"{row['id']}-{text}", "text": text} for text in ("quick brown", "over")]
    (tmp_path / "responses.jsonl").write_text("\n".join(map(json.dumps, rows)))
    config = make_config(
        "ingest: [{source: responses.jsonl}]\n"
        f"engines: {{m: {{kind: transformers, task: reward, model: {folder}, dtype: float32}}}}\n"
        "judge: {judges: [{name: tn, kind: reward-model, engine: m, contrast: others, temperature: 0.5}]}\n"
        "aggregate: {rewards: {annotators: [tn]}}"
    )
    with Lake.open(config.location) as lake:
        ingest_sources(lake, config)
        judge_responses(lake, config)
        aggregate_judgments(lake, config)
        found = {
            key: (outcome, score, raw)
            for key, outcome, score, raw in lake.rows(
                "SELECT key, outcome, score, judgments.raw FROM judgments JOIN responses ON response_id = response_a"
            )
        }
        assert lake.value("SELECT n FROM annotators WHERE annotator_id = 'reward ensemble'") == 1
    engine = Engines({}, tmp_path).make_engine(
        "m",
        {"kind": "transformers", "model": str(folder), "task": "reward", "dtype": "float32"},
        where="m",
        needs="score",
    )
    for text in ("quick brown", "over"):
        scores = engine.score(
            [build_chat(("user", said), ("assistant", text)) for said in ("a fox", "a dog", "the lazy fox")]
        )
        shares = [math.exp(score.value / 0.5) for score in scores if isinstance(score, Score)]
        assert found[f"known-{text}"][1] == pytest.approx(math.log(shares[0] / sum(shares)), abs=1e-4)
        for name, why in (("bare", "no contrastive prompts"), ("odd", "not a list")):
            outcome, score, raw = found[f"{name}-{text}"]
            assert (outcome, score) == ("abstain", None)
            assert why in raw


def test_without_contrast_the_option_changes_no_revision(make_model: MakeModel, tmp_path: Path) -> None:
    model = str(make_model(head="reward"))

    def revision(**options: str) -> str:
        checked = RewardModelOptions(name="rm", kind="reward-model", model=model, **options)
        judge = RewardModelJudge(checked, Engines({}, tmp_path))
        assert ("contrast" in judge.non_identity_options()) == (not options)
        return judge.revision("")

    assert len({revision(), revision(contrast="others"), revision(contrast="more")}) == 3


def test_the_revision_is_of_the_weights_not_their_place(make_model: MakeModel, tmp_path: Path) -> None:
    def revision(folder: Path, **options: float) -> str:
        checked = RewardModelOptions(name="rm", kind="reward-model", model=str(folder), **options)
        return RewardModelJudge(checked, Engines({}, tmp_path)).revision("")

    one, same, other = make_model(head="reward"), make_model(head="reward"), make_model(head="reward", seed=1)
    assert revision(one) == revision(same) != revision(other)
    assert revision(one) != revision(one, temperature=2.0)


def test_a_trained_head_scores_with_the_prompt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder that `curate train` writes is recognised, and gets ids, messages and texts."""
    from curate.reward import embedding_reward

    folder = tmp_path / "reward"
    folder.mkdir()
    config = EmbeddingRewardConfig(
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
    (folder / "config.json").write_text(json.dumps(asdict(config)))
    asked = []

    class Head:
        digest = "d1"

        def score(
            self, prompt_ids: list[str], prompts: list[str], responses: list[str], **_: object
        ) -> list[float]:
            asked.append((prompt_ids, prompts, responses))
            return [float(len(text)) for text in responses]

    monkeypatch.setattr(embedding_reward.EmbeddingReward, "load", classmethod(lambda cls, path, **_: Head()))
    options = RewardModelOptions(name="rm", kind="reward-model", model="reward")
    judge = RewardModelJudge(options, Engines({}, tmp_path))
    answers = judge.answer(
        [Question(CONTEST, CONTEST.candidates[:2]), Question(CONTEST, CONTEST.candidates[1:3])]
    )
    assert [answer.outcome for answer in answers] == ["b", "a"]
    ((prompt_ids, prompts, responses),) = asked
    assert prompt_ids == ["p"] * 3
    assert responses == TEXTS[:3]
    assert prompts == ["which?"] * 3
    assert judge.identity == ("d1",)
