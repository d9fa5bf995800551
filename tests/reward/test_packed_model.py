"""Packed rows: the same scores and gradients as separate passes, whoever is packed with whom."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from curate.core.errors import CurateError
from curate.engine.local.reward_head import HeadShape
from curate.reward.model import EncoderModel, RewardModel
from curate.reward.packing import (
    PackedBatch,
    pack_jointly,
    pack_separately,
    pack_shared_prefix,
    pad_rows,
)
from curate.reward.prefix_tree import Segment

SHAPE: dict[str, Any] = {
    "vocab_size": 97,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "pad_token_id": 0,
}
FAMILIES = ("llama", "qwen2", "qwen3", "qwen3 sliding", "gemma3")


def backbone(family: str = "llama", seed: int = 0) -> Any:
    from transformers import AutoModel, Gemma3TextConfig, LlamaConfig, Qwen2Config, Qwen3Config

    sliding = {
        "sliding_window": 5,
        "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
    }
    config = {
        "llama": lambda: LlamaConfig(**SHAPE),
        "qwen2": lambda: Qwen2Config(**SHAPE),
        "qwen3": lambda: Qwen3Config(**SHAPE, head_dim=8),
        "qwen3 sliding": lambda: Qwen3Config(**SHAPE, head_dim=8, use_sliding_window=True, **sliding),
        "gemma3": lambda: Gemma3TextConfig(**SHAPE, head_dim=8, query_pre_attn_scalar=8, **sliding),
    }[family]()
    torch.manual_seed(seed)
    return AutoModel.from_config(config, attn_implementation="sdpa").eval()


def some_tokens(seed: int = 0, prompts: int = 3) -> tuple[list[list[int]], list[list[list[int]]]]:
    """Prompts of 3–12 tokens with 1–4 responses of 1–9 tokens."""
    rng = random.Random(seed)

    def tokens(low: int, high: int) -> list[int]:
        return [rng.randrange(1, 97) for _ in range(rng.randint(low, high))]

    asked = [tokens(3, 12) for _ in range(prompts)]
    return asked, [[tokens(1, 9) for _ in range(rng.randint(1, 4))] for _ in asked]


def one_by_one(model: RewardModel, prompts: list[list[int]], responses: list[list[list[int]]]) -> Tensor:
    """Each prompt and response alone through Transformers' own attention: the reference."""
    model.backbone.set_attn_implementation("eager")
    scores = []
    for prompt, answers in zip(prompts, responses, strict=True):
        for answer in answers:
            hidden = model.backbone(input_ids=torch.tensor([prompt + answer])).last_hidden_state
            scores.append(model.head(hidden[0, -1]))
    model.backbone.set_attn_implementation("curate_packed")
    return torch.cat(scores)


@pytest.mark.parametrize("family", FAMILIES)
def test_packed_scores_are_those_of_separate_passes(family: str) -> None:
    model = RewardModel.add_head(backbone(family))
    prompts, responses = some_tokens()
    expected = one_by_one(model, prompts, responses)
    assert expected.std() > 0.01  # they differ, so that agreeing means something
    for layout in (pack_shared_prefix, pack_separately):
        assert torch.allclose(model.score(layout(prompts, responses)), expected, atol=1e-5), layout


@pytest.mark.parametrize("family", ["llama", "qwen3 sliding"])
def test_packed_gradients_are_those_of_separate_passes(family: str) -> None:
    model = RewardModel.add_head(backbone(family), HeadShape("mlp", 16))
    prompts, responses = some_tokens(1)
    gradients = []
    for scores in (
        one_by_one(model, prompts, responses),
        model.score(pack_shared_prefix(prompts, responses)),
    ):
        model.zero_grad()
        scores.square().sum().backward()
        gradients.append([parameter.grad.clone() for parameter in model.parameters()])  # type: ignore[union-attr]
    largest = max(float(each.abs().max()) for each in gradients[0])
    for one, other in zip(*gradients, strict=True):
        assert (one - other).abs().max() < 1e-5 * largest
    assert all(each.abs().sum() > 0 for each in gradients[1])


def test_order_and_company_change_no_score() -> None:
    model = RewardModel.add_head(backbone())
    prompts, responses = some_tokens(2)
    table = model.score(pack_shared_prefix(prompts, responses)).split([len(answers) for answers in responses])
    turned = [answers[::-1] for answers in responses]
    for one, other in zip(
        table, model.score(pack_shared_prefix(prompts, turned)).split([*map(len, turned)]), strict=True
    ):
        assert torch.allclose(one, other.flip(0), atol=1e-6)
    alone = [
        model.score(pack_shared_prefix([prompt], [answers]))
        for prompt, answers in zip(prompts, responses, strict=True)
    ]
    assert torch.allclose(torch.cat(alone), torch.cat(table), atol=1e-6)


def test_padding_and_company_change_no_score_of_an_encoder() -> None:
    from transformers import BertConfig, BertForSequenceClassification

    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
    torch.manual_seed(0)
    config = BertConfig(vocab_size=97, num_labels=1, initializer_range=0.4, **shape)
    model = EncoderModel(BertForSequenceClassification(config).eval())
    _, rows = some_tokens(8)
    together = model.score(pad_rows(rows, None, padding=0))
    alone = torch.cat(
        [model.score(pad_rows([[row]], None, padding=0)) for answers in rows for row in answers]
    )
    assert together.std() > 0.01
    assert torch.allclose(together, alone, atol=1e-5)


def test_joint_scores_are_those_of_the_whole_sequence_and_depend_on_order() -> None:
    model = RewardModel.add_head(backbone())
    prompt, answers, separator = [5, 6, 7], [[8, 9], [10], [11, 12, 13]], [96]
    scores = model.score(pack_jointly([prompt], [answers], separator))
    model.backbone.set_attn_implementation("eager")
    whole = [5, 6, 7, 8, 9, 96, 10, 96, 11, 12, 13]
    hidden = model.backbone(input_ids=torch.tensor([whole])).last_hidden_state[0, [4, 6, 10]]
    assert torch.allclose(scores, model.head(hidden).squeeze(-1), atol=1e-5)
    model.backbone.set_attn_implementation("curate_packed")
    packed = pack_jointly([prompt], [answers[::-1]], separator)
    assert (model.score(packed).flip(0) - scores).abs().max() > 1e-3


def test_a_shuffled_joint_row_still_says_which_score_is_whose() -> None:
    model = RewardModel.add_head(backbone())
    prompts, responses = some_tokens(3, prompts=6)
    shuffled = [
        torch.randperm(len(answers), generator=torch.manual_seed(4)).tolist() for answers in responses
    ]
    packed = pack_jointly(prompts, responses, [96], orders=[[order] for order in shuffled])
    table = packed.scatter_scores(model.score(packed))
    assert table.shape == (6, max(map(len, responses)))
    for row, answers in enumerate(responses):
        assert torch.isfinite(table[row]).sum() == len(answers)
    tokens = packed.tokens[0].tolist()
    for last, prompt, slot in zip(
        *(each.tolist() for each in (packed.last, packed.prompt, packed.slot)), strict=True
    ):
        answer = responses[prompt][slot]
        assert tokens[last + 1 - len(answer) : last + 1] == answer
    assert packed.slot.tolist() != sorted(packed.slot.tolist())


def test_the_layouts_token_by_token() -> None:
    packed = pack_shared_prefix([[1, 2], [3]], [[[4], [5, 6]], [[7]]])
    assert packed.tokens.tolist() == [[1, 2, 4, 5, 6, 3, 7]]
    assert packed.positions.tolist() == [[0, 1, 2, 2, 3, 0, 1]]
    prompt = ((0, 2),)
    assert packed.segments == (
        Segment(0, 2), Segment(2, 1, prompt), Segment(3, 2, prompt), Segment(5, 2),
    )  # fmt: skip
    assert packed.last.tolist() == [2, 4, 6]
    assert (packed.prompt.tolist(), packed.slot.tolist()) == ([0, 0, 1], [0, 1, 0])
    packed = pack_separately([[1, 2]], [[[4], [5, 6]]])
    assert packed.tokens.tolist() == [[1, 2, 4, 1, 2, 5, 6]]
    assert packed.segments == (Segment(0, 3), Segment(3, 4))
    packed = pack_jointly([[1, 2]], [[[4], [5, 6]]], [9, 9])
    assert packed.tokens.tolist() == [[1, 2, 4, 9, 9, 5, 6]]
    assert packed.positions.tolist() == [[0, 1, 2, 3, 4, 5, 6]]
    assert packed.last.tolist() == [2, 6]


def test_the_table_keeps_gradients_and_refuses_other_shapes() -> None:
    packed = pack_shared_prefix([[1], [2]], [[[3]], [[4], [5]]])
    scores = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    table = packed.scatter_scores(scores)
    assert table.tolist() == [[1.0, float("-inf")], [2.0, 3.0]]
    table[1].sum().backward()
    assert scores.grad is not None
    assert scores.grad.tolist() == [0.0, 1.0, 1.0]
    assert packed.scatter_scores(torch.zeros(3, 4)).shape == (2, 2, 4)
    for wrong in (torch.zeros(2), torch.zeros(3, 1, 1), torch.zeros(3, 0)):
        with pytest.raises(ValueError, match="3 responses"):
            packed.scatter_scores(wrong)


def test_empty_texts_and_rows_that_are_not_covered_are_refused() -> None:
    for prompts, responses in (([[1]], [[[]]]), ([[1]], [[]]), ([], [])):
        with pytest.raises(ValueError, match="needs a"):
            pack_shared_prefix(prompts, responses)
    packed = pack_shared_prefix([[1, 2]], [[[3], [4]]])
    short = PackedBatch(
        tokens=packed.tokens,
        positions=packed.positions,
        segments=(Segment(0, 2), Segment(2, 1, ((0, 2),))),
        last=packed.last,
        prompt=packed.prompt,
        slot=packed.slot,
        widest=2,
    )
    with pytest.raises(ValueError, match="do not cover"):
        RewardModel.add_head(backbone())(short)


def test_what_packed_attention_does_not_know_is_refused() -> None:
    from transformers import AutoModel, Gemma2Config

    config = Gemma2Config(**SHAPE, head_dim=8, query_pre_attn_scalar=8, attn_logit_softcapping=50.0)
    model = RewardModel.add_head(AutoModel.from_config(config).eval())
    with pytest.raises(NotImplementedError, match="soft-capped"):
        model.score(pack_shared_prefix([[1]], [[[2]]]))


@pytest.mark.parametrize(
    "shape",
    [
        HeadShape(),
        HeadShape("mlp", 16),
        HeadShape(output="ordinal"),
        HeadShape("mlp", 16, "ordinal", 7),
        HeadShape(output="aspects", aspects=("true", "kind"), weights=(2.0, 1.0)),
    ],
)
@pytest.mark.parametrize("family", ["llama", "qwen3"])
def test_saved_models_score_the_same(family: str, shape: HeadShape, tmp_path: Path) -> None:
    model = RewardModel.add_head(backbone(family), shape)
    packed = pack_shared_prefix(*some_tokens(5))
    model.save(tmp_path)
    loaded = RewardModel.load(tmp_path).eval()
    torch.testing.assert_close(
        loaded.score(packed), model.score(packed), rtol=0, atol=1e-6
    )  # memory alignment moves the last bit


def test_transformers_reads_a_linear_head(tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification

    model = RewardModel.add_head(backbone("qwen3"))
    model.save(tmp_path)
    classifier = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    prompts, responses = some_tokens(6)
    rows = [prompt + answer for prompt, answers in zip(prompts, responses, strict=True) for answer in answers]
    padded = torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], batch_first=True)
    logits = classifier(input_ids=padded, attention_mask=(padded != 0).long()).logits
    assert logits.shape == (len(rows), 1)
    assert torch.allclose(logits[:, 0], model.score(pack_shared_prefix(prompts, responses)), atol=1e-5)


def test_a_half_precision_backbone_has_a_full_precision_head() -> None:
    model = RewardModel.add_head(backbone().to(torch.bfloat16))
    packed = pack_shared_prefix(*some_tokens(7))
    scores = model.score(packed)
    assert scores.dtype == torch.float32
    scores.sum().backward()
    assert model.head.weight.grad.dtype == torch.float32  # type: ignore[union-attr]


def test_loading_in_half_precision_does_not_round_the_head(tmp_path: Path) -> None:
    model = RewardModel.add_head(backbone())
    model.save(tmp_path)
    loaded = RewardModel.load(tmp_path, dtype=torch.bfloat16)
    assert loaded.backbone.dtype == torch.bfloat16
    assert torch.equal(loaded.head.weight, model.head.weight)  # type: ignore[arg-type]


def test_what_is_no_reward_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(CurateError, match="Cannot read a reward model"):
        RewardModel.load(tmp_path)
    from transformers import AutoModelForSequenceClassification

    config = backbone().config
    config.num_labels = 3
    AutoModelForSequenceClassification.from_config(config).save_pretrained(tmp_path)
    with pytest.raises(CurateError, match="no linear head with one label"):
        RewardModel.load(tmp_path)
