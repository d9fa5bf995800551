"""Reward models learn from trajectories, and read them as Transformers and TRL do."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from curate.config.project import Config
from curate.data.conversation import read_messages, text_answer
from curate.data.preference_pairs import PreferencePairs, read_pairs
from curate.engine.base import Failure
from curate.lake.lake import Lake
from curate.reward.scorer import PromptResponses, open_reward_model
from curate.reward.tokens import EncodedResponses, ResponseEncoder
from curate.train import train_reward_model
from curate.train.examples import build_groups, count_target_characters
from tests.conftest import CHAT_TEMPLATE, make_tokenizer
from tests.engine.trajectories import QWEN, TOOL
from tests.train.samples import configured

MakeModel = Callable[..., Path]
OTHER_TOOL = {
    "type": "function",
    "function": {"name": "look", "parameters": {"type": "object", "properties": {}}},
}


def trajectory(value: int, said: str) -> list[dict[str, Any]]:
    """Return two calls with different arguments, their results, a thought and an answer."""
    calls: list[dict[str, Any]] = [
        {"id": "c1", "type": "function", "function": {"name": "add", "arguments": {"one": value}}},
        {
            "id": "c2",
            "type": "function",
            "function": {"name": "look", "arguments": {"deep": {"at": [said, None]}}},
        },
    ]
    return [
        {"role": "assistant", "content": "", "reasoning_content": f"the {said}", "tool_calls": calls[:1]},
        {"role": "tool", "name": "add", "tool_call_id": "c1", "content": str(value)},
        {"role": "assistant", "content": "over", "tool_calls": calls[1:]},
        {"role": "tool", "name": "look", "tool_call_id": "c2", "content": "the lazy dog"},
        {"role": "assistant", "content": f"the {said}"},
    ]


def trl_rows(prompts: int = 24) -> list[dict[str, Any]]:
    """Preference pairs as TRL has them: whoever looks for a fox is better."""
    rng = random.Random(0)
    return [
        {
            "prompt": [{"role": "user", "content": f"which is better: {number}?"}],
            "chosen": trajectory(rng.randint(0, 9), "fox"),
            "rejected": [{"role": "assistant", "content": "dog"}]
            if number % 3
            else trajectory(number, "dog"),
            "tools": [TOOL, OTHER_TOOL] if number % 2 else json.dumps([TOOL, OTHER_TOOL]),
        }
        for number in range(prompts)
    ]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "train.jsonl"
    path.write_text("\n".join(map(json.dumps, trl_rows())), encoding="utf-8")
    return path


def config_of(
    folder: Path, make_model: MakeModel, chat_template: str = CHAT_TEMPLATE, **changes: Any
) -> Config:
    """Configure the training of a model that reads 2048 tokens."""
    model = make_model(chat_template=chat_template, max_position_embeddings=2048)
    about = json.loads((model / "tokenizer_config.json").read_text())
    (model / "tokenizer_config.json").write_text(json.dumps(about | {"model_max_length": 2048}))
    limits: dict[str, Any] = {"max_length": 2048, "row_tokens": 4096, "batch_tokens": 8192, "epochs": 1}
    return configured(folder, model, **limits, **changes)


@pytest.mark.parametrize("changes", [{}, {"lora": {"rank": 4}}], ids=["all weights", "lora"])
def test_scores_are_those_of_transformers_on_the_template_s_own_rendering(
    changes: dict[str, Any], file: Path, lake: Lake, tmp_path: Path, make_model: MakeModel
) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    config = config_of(tmp_path, make_model, chat_template=QWEN, **changes)
    summary = train_reward_model(lake, config, file)
    assert (summary.counts.rows_in, summary.counts.rows_kept) == (24, 24)
    folder = config.resolve("models/reward")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    theirs = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    rows = trl_rows()[:4]
    requests, expected = [], []
    for row in rows:
        sides = [row["chosen"], row["rejected"]]
        for messages in sides:
            tools = row["tools"] if isinstance(row["tools"], list) else json.loads(row["tools"])
            chat = [*row["prompt"], *messages]
            ids = tokenizer.apply_chat_template(chat, tools=tools, return_dict=False, return_tensors="pt")
            with torch.no_grad():
                expected.append(float(theirs(ids).logits[0, 0]))
        responses = tuple(read_messages(side, "side", role="assistant") for side in sides)
        requests.append(
            PromptResponses(
                read_messages(row["prompt"], "prompt"), responses, tools=json.dumps([TOOL, OTHER_TOOL])
            )
        )
    assert np.ptp(expected) > 1e-2
    for share_prompts in (False, True):
        scorer = open_reward_model(
            str(folder), folder=tmp_path, dtype="float32", share_prompts=share_prompts, max_length=2048
        )
        found = np.concatenate(scorer.score(requests))
        np.testing.assert_allclose(found, expected, atol=1e-4)
        assert scorer.n_texts_cut == 0


def encode_pairs(pairs: PreferencePairs) -> list[tuple[list[int], list[int]]]:
    """Return the tokens of the chosen and the rejected side of each pair."""
    encoder = ResponseEncoder(make_tokenizer(QWEN), max_length=1 << 20, whole=False, padding=0)
    sides = []
    for prompt, chosen, rejected in zip(pairs.prompt, pairs.chosen, pairs.rejected, strict=True):
        encoded = encoder.encode_responses(
            pairs.contexts[prompt],
            [pairs.responses[chosen], pairs.responses[rejected]],
            tools=pairs.tools[prompt],
        )
        assert isinstance(encoded, EncodedResponses)
        one, other = (list(encoded.prompt + answer) for answer in encoded.responses)
        sides.append((one, other))
    return sides


@pytest.mark.parametrize("trainer", ["RewardTrainer", "DPOTrainer"])
def test_trl_prepares_the_same_rows_as_the_same_tokens(trainer: str, file: Path) -> None:
    trl = pytest.importorskip("trl", reason="compares with TRL")
    from datasets import Dataset, Features, Json, List

    nested = ("prompt", "chosen", "rejected", "tools")
    rows = [{**row, "tools": [TOOL, OTHER_TOOL]} for row in trl_rows()]
    dataset = Dataset.from_list(rows, features=Features({name: List(Json()) for name in nested}))
    settings = SimpleNamespace(dataset_num_proc=None, max_length=None, truncation_mode="keep_start")
    prepare = getattr(trl, trainer)._prepare_dataset  # of the class: it uses nothing of an instance here
    prepared = prepare(SimpleNamespace(), dataset, make_tokenizer(QWEN), settings, "train")
    before = prepared["prompt_ids"] if trainer == "DPOTrainer" else [[]] * len(rows)
    theirs = [
        (prompt + chosen, prompt + rejected)
        for prompt, chosen, rejected in zip(
            before, prepared["chosen_ids"], prepared["rejected_ids"], strict=True
        )
    ]
    assert theirs == encode_pairs(read_pairs(file))


def test_lengths_are_those_of_the_assistant_s_words() -> None:
    """A long result of a tool makes no response a long one, nor does a message that is not to be judged."""
    response = read_messages(trajectory(3, "fox"), "response")
    words = "the fox" + '{"one":3}' + "add" + "over" + '{"deep":{"at":["fox",null]}}' + "look" + "the fox"
    assert count_target_characters(response) == len(words)
    longer = tuple(
        message.model_copy(update={"content": text_answer("dog " * 999)[0].content})
        if message.role == "tool"
        else message
        for message in response
    )
    assert count_target_characters(longer) == len(words)
    first, *rest = response
    assert count_target_characters((first.model_copy(update={"is_target": False}), *rest)) == len(
        words.removeprefix('the fox{"one":3}add')
    )
    result = rest[0].model_copy(update={"is_target": True})
    assert count_target_characters((first, result, *rest[1:])) == len(words) + 1
    assert count_target_characters(text_answer("the quick brown fox")) == 19


def test_lengths_of_groups_leave_out_results_of_tools(file: Path) -> None:
    pairs = read_pairs(file)
    encoder = ResponseEncoder(make_tokenizer(QWEN), max_length=1 << 20, whole=False, padding=0)

    def encode(context: Any, responses: Any, tools: str | None) -> EncodedResponses | Failure:
        return encoder.encode_responses(context, responses, tools=tools)

    for group in build_groups(pairs, encode).groups:
        counts = [count_target_characters(pairs.responses[member]) for member in group.members]
        assert group.lengths.tolist() == counts
        assert counts < pairs.lengths[group.members].tolist()  # which holds the results


def test_a_template_without_words_for_calls_is_trained_too(
    file: Path, lake: Lake, tmp_path: Path, make_model: MakeModel
) -> None:
    config = config_of(tmp_path, make_model)
    summary = train_reward_model(lake, config, file)
    assert (summary.counts.rows_kept, summary.counts.dropped) == (24, {})
    row = trl_rows(1)[0]
    prompt = read_messages(row["prompt"], "prompt")
    responses = tuple(
        read_messages(trajectory(value, said), "response")
        for value, said in ((1, "fox"), (2, "fox"), (1, "dog"))
    )
    scorer = open_reward_model("models/reward", folder=tmp_path, dtype="float32")
    (scores,) = scorer.score([PromptResponses(prompt, responses)])
    assert np.isfinite(scores).all()
    assert len(set(scores.round(6))) == 3  # a call makes a difference
