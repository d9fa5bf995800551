"""The one door to reward models: which folders `curate train` wrote, and what each kind of model is opened as."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from curate.core.errors import CurateError
from curate.data.conversation import text_answer
from curate.engine import Engines, Failure, build_chat
from curate.engine.base import Score
from curate.reward import PromptResponses, open_reward_model
from curate.reward.model_folder import is_trained_model, list_model_files, read_trained_kind
from curate.reward.packed_scorer import PackedScorer
from curate.reward.scorer import EmbeddingScorer, EngineScorer, describe_losses

MakeModel = Callable[..., Path]
ASKED = build_chat(("user", "which?"))
REQUESTS = [PromptResponses(ASKED, (text_answer("A"), text_answer("the quick brown fox")))]


@pytest.mark.parametrize(
    ("file", "content", "kind"),
    [
        ("config.json", {"format": "curate-embedding-reward/1"}, "embedding"),
        ("training.json", {"format": "curate-backbone-reward/1", "files": ["a.bin"]}, "backbone"),
        ("config.json", {"architectures": ["LlamaForSequenceClassification"]}, None),
        ("config.json", ["no", "object"], None),
        ("head.safetensors", {}, None),
    ],
)
def test_a_trained_model_is_known_by_its_format(
    tmp_path: Path, file: str, content: object, kind: str | None
) -> None:
    (tmp_path / file).write_text(json.dumps(content))
    assert read_trained_kind(tmp_path) == kind
    assert is_trained_model(tmp_path) == (kind is not None) == bool(list_model_files(tmp_path))


def test_a_model_of_another_version_is_named_as_such(tmp_path: Path) -> None:
    (tmp_path / "reward").mkdir()
    (tmp_path / "reward" / "config.json").write_text('{"format": "curate-embedding-reward/9"}')
    with pytest.raises(CurateError, match="was written by another version of curate"):
        open_reward_model("reward", folder=tmp_path)


def test_a_classifier_is_an_engine_that_the_workspace_shares(make_model: MakeModel, tmp_path: Path) -> None:
    engines, model = Engines({}, tmp_path), str(make_model(head="reward"))
    scorer = open_reward_model(model, folder=tmp_path, engines=engines)
    again = open_reward_model(model, folder=tmp_path, engines=engines, name="again")
    assert isinstance(scorer, EngineScorer)
    assert isinstance(again, EngineScorer)
    assert scorer.engine is again.engine
    assert (scorer.name, again.name) == (model, "again")
    assert not isinstance(scorer, EmbeddingScorer)


def test_both_methods_give_the_same_scores_and_say_why_there_is_none(make_model: MakeModel) -> None:
    model = str(make_model(head="reward"))
    requests = [*REQUESTS, PromptResponses(ASKED, (text_answer("word " * 600),))]
    single = [
        PromptResponses(request.context, (response,))
        for request in requests
        for response in request.responses
    ]
    for share_prompts in (False, True):
        scorer = open_reward_model(model, folder=Path(), share_prompts=share_prompts)
        assert isinstance(scorer, PackedScorer) == share_prompts
        scores = np.concatenate(scorer.score(requests))
        one, other, failure = scorer.score_each(single)
        assert isinstance(one, Score)
        assert isinstance(other, Score)
        np.testing.assert_allclose(scores[:2], [one.value, other.value], atol=1e-4)
        assert isinstance(failure, Failure)
        # An engine cuts nothing; packed rows are cut as in training, and the cut is counted.
        assert np.isnan(scores[2]) == (not share_prompts)
        assert scorer.n_texts_cut == int(share_prompts)
        lost = "1 texts were too long and lost tokens, 1" if share_prompts else "2"
        assert describe_losses(scorer) == f"{model}: {lost} responses have no score (too long)"
