"""What others make of a folder of `curate train`: the same lengths, chats and scores, or a refusal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from curate.data.conversation import text_answer, text_message
from curate.engine.chat_tokens import PARAGRAPHS_TEMPLATE, ChatTokens
from curate.engine.local.reward_head import HeadShape
from curate.reward.model import RewardModel
from curate.reward.scorer import PromptResponses, open_reward_model
from curate.reward.tokens import ResponseEncoder
from curate.train.load_backbone import LoadedBackbone
from tests.conftest import MakeModel

CHAT = [{"role": "user", "content": "which is better?"}, {"role": "assistant", "content": "the fox"}]
REQUEST = PromptResponses((text_message("user", "which is better?"),), (text_answer("the fox"),))
LENGTH = 96


def save(model: Path, folder: Path, shape: HeadShape) -> Path:
    """Save a model with an untrained head as the training does."""
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    encoder = ResponseEncoder(tokenizer, max_length=LENGTH, whole=False, padding=tokenizer.pad_token_id)
    headed = RewardModel.add_head(AutoModel.from_pretrained(model), shape, seed=3)
    LoadedBackbone(headed, encoder, None).save(folder)
    return folder


def test_a_plain_head_gives_transformers_the_same_score(make_model: MakeModel, tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    for template in ({}, {"chat_template": None}):
        folder = save(make_model(**template), tmp_path / str(len(template)), HeadShape())
        tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        assert (tokenizer.model_max_length, tokenizer.truncation_side) == (LENGTH, "left")
        model: Any = AutoModelForSequenceClassification.from_pretrained(folder).eval()
        with torch.no_grad():
            inputs = tokenizer.apply_chat_template(CHAT, return_tensors="pt", return_dict=True)
            expected = float(model(**inputs).logits[0, 0])
        for share_prompts in (False, True):
            scorer = open_reward_model(str(folder), folder=tmp_path, share_prompts=share_prompts)
            assert float(scorer.score([REQUEST])[0][0]) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("shape", [HeadShape(head="mlp", units=8), HeadShape(output="ordinal", levels=4)])
def test_another_head_loads_nowhere_else(make_model: MakeModel, tmp_path: Path, shape: HeadShape) -> None:
    from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

    folder = save(make_model(), tmp_path / "model", shape)
    for load in (AutoModelForSequenceClassification.from_pretrained, AutoConfig.from_pretrained):
        with pytest.raises(ValueError, match=r"open it with curate\.reward\.open_reward_model"):
            load(folder)
    AutoTokenizer.from_pretrained(folder)
    single, packed = (
        open_reward_model(str(folder), folder=tmp_path, share_prompts=share_prompts).score([REQUEST])[0][0]
        for share_prompts in (False, True)
    )
    assert single == pytest.approx(packed, abs=1e-4)


def test_chats_without_a_template_are_written_alike(make_model: MakeModel) -> None:
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(make_model(chat_template=None))
    bare = ChatTokens(tokenizer, 1000)
    turns = (text_message("system", "brief"), text_message("user", "why?"), text_message("assistant", "so"))
    for chat, answer in ((turns[:2], True), (turns, False)):
        expected = bare.encode_chat(chat, answer=answer)
        tokenizer.chat_template = PARAGRAPHS_TEMPLATE
        dicts = [{"role": message.role, "content": message.content[0].text} for message in chat]
        theirs = tokenizer.apply_chat_template(dicts, return_dict=False, add_generation_prompt=answer)
        assert theirs == expected == ChatTokens(tokenizer, 1000).encode_chat(chat, answer=answer)
        with pytest.raises(Exception, match="trained without a chat template"):
            tokenizer.apply_chat_template([{"role": "assistant", "content": None}])
        tokenizer.chat_template = None
