"""What train_step.py and score_step.py measure: N responses to one prompt, read in several ways by the same weights.

Text: a random Llama of 27 M weights, a prompt of 384 tokens and responses of 96. Vision-language: a random Qwen2.5-VL
of 17 M weights, a prompt of 4 images (256 visual tokens each) and 64 tokens of text, and responses of 96 tokens.

The bound is the ratio of the numbers of tokens that the language part reads. A vision-language model can do better,
since it also computes the prompt's images once and not N times.
"""

from __future__ import annotations

import copy
import itertools
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from curate.engine.local.reward_head import HeadShape
from curate.records import Part
from curate.reward.model import RewardModel, VisionModel
from curate.reward.packing import PaddedBatch, pack_jointly, pack_shared_prefix, pad_rows
from curate.reward.prefix_tree import build_prefix_tree, count_common
from curate.reward.response_order import OrderProtocol
from curate.reward.tokens import EncodedResponses
from curate.reward.vision_packing import VisionPacker

PROMPT, ANSWER, SEPARATOR = 384, 96, (1,)
IMAGES, SIDE, TEXT = 4, 32, 64  # images of SIDE × SIDE patches, of which four are one visual token
VOCABULARY, IMAGE, VIDEO, START, END = 8192, 8190, 8189, 8188, 8187
SEPARATE, PAIRS = "separate passes, one batch", "all pairs (TRL's way)"
SHARED, JOINT, ROTATIONS = "shared prefix", "joint", "joint, all rotations"


@dataclass
class Pictures:
    """Images as a processor would give them; what `VisionPacker` asks of the tokens of a real one."""

    pixels: dict[Part, dict[str, Tensor]] = field(default_factory=dict)
    image_token: int = IMAGE

    def draw(self, number: int) -> Part:
        """Make image `number`, of random pixels."""
        part = Part(type="image", uri=f"{number}.png")
        generator = torch.Generator().manual_seed(number)
        self.pixels[part] = {
            "pixel_values": torch.randn(SIDE * SIDE, 3 * 2 * 14 * 14, generator=generator),
            "image_grid_thw": torch.tensor([[1, SIDE, SIDE]]),
        }
        return part

    def read_image(self, part: Part) -> tuple[tuple[int, ...], dict[str, Tensor]]:
        return (IMAGE,) * (SIDE * SIDE // 4), self.pixels[part]

    def mark_image_tokens(self, tokens: Tensor) -> Tensor:
        return (tokens == IMAGE).long()

    def join_inputs(self, tokens: Tensor, images: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
        names = ("pixel_values", "image_grid_thw")
        inputs = {name: torch.cat([image[name] for image in images]) for name in names}
        return inputs | {"mm_token_type_ids": self.mark_image_tokens(tokens)}


Way = Callable[[], Tensor]
"""Computes the scores float[N] of the N responses."""


@dataclass(frozen=True, slots=True)
class Workload:
    """One N: the ways of reading it, and the tokens that the language part reads in each.

    `score_pair` scores two responses as TRL's trainer does, as a batch of two rows.
    """

    ways: dict[str, Way]
    tokens: dict[str, int]
    score_pair: Way


def build_text_model() -> tuple[Any, RewardModel]:
    """Build the peer, Transformers' own sequence classifier, and ours with the same weights."""
    from transformers import AutoModelForSequenceClassification, LlamaConfig

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=512,
        intermediate_size=1376,
        num_hidden_layers=8,
        num_attention_heads=8,
        num_key_value_heads=4,
        num_labels=1,
        pad_token_id=0,
    )
    peer = AutoModelForSequenceClassification.from_config(config, attn_implementation="sdpa").eval()
    ours = AutoModelForSequenceClassification.from_config(copy.deepcopy(config)).eval()
    ours.load_state_dict(peer.state_dict())
    return peer, RewardModel(ours.base_model, ours.score)


def build_vision_model() -> tuple[VisionModel, VisionModel]:
    """Build the peer, Transformers' own attention over padded copies, and ours with the same weights."""
    from transformers import AutoModel, Qwen2_5_VLConfig

    torch.manual_seed(0)
    rope = {"rope_type": "default", "mrope_section": [8, 12, 12], "rope_theta": 1e6}
    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": VOCABULARY, "hidden_size": 384, "intermediate_size": 1024, "num_hidden_layers": 6,
            "num_attention_heads": 6, "num_key_value_heads": 3, "rope_parameters": rope, "pad_token_id": 0,
        },
        vision_config={
            "depth": 4, "hidden_size": 256, "out_hidden_size": 384, "num_heads": 4, "intermediate_size": 512,
            "fullatt_block_indexes": [1, 3],
        },
        image_token_id=IMAGE, video_token_id=VIDEO, vision_start_token_id=START, vision_end_token_id=END,
    )  # fmt: skip
    peer = VisionModel.add_head(AutoModel.from_config(config, attn_implementation="sdpa"), HeadShape()).eval()
    ours = VisionModel.add_head(AutoModel.from_config(copy.deepcopy(config)), HeadShape()).eval()
    ours.load_state_dict(peer.state_dict())
    ours.use_packing()
    return peer, ours


def draw_tokens(rng: random.Random, number: int) -> list[int]:
    return [rng.randrange(2, 8000) for _ in range(number)]


def build_text_workload(peer: Any, model: RewardModel, n: int, *, rotations: bool) -> Workload:
    rng = random.Random(n)
    prompt, answers = draw_tokens(rng, PROMPT), [draw_tokens(rng, ANSWER) for _ in range(n)]
    rows = [prompt + answer for answer in answers]

    def score_jointly(orders: Sequence[Sequence[int]]) -> Tensor:
        packed = pack_jointly([prompt], [answers], SEPARATOR, orders=[orders])
        return average_orders(model.score(packed), packed.slot, n)

    ways: dict[str, Way] = {
        SEPARATE: lambda: peer(input_ids=torch.tensor(rows)).logits[:, 0],
        SHARED: lambda: model.score(pack_shared_prefix([prompt], [answers])),
        JOINT: lambda: score_jointly([range(n)]),
    }
    if rotations:
        ways[ROTATIONS] = lambda: score_jointly(list_rotations(n))
    return Workload(
        ways, count_tokens(prompt, answers), lambda: peer(input_ids=torch.tensor(rows[:2])).logits[:, 0]
    )


def build_vision_workload(peer: VisionModel, model: VisionModel, n: int, *, rotations: bool) -> Workload:
    rng, pictures = random.Random(n), Pictures()
    parts = [pictures.draw(number) for number in range(IMAGES)]
    shown = [token for _ in parts for token in (START, *[IMAGE] * (SIDE * SIDE // 4), END)]
    prompt = shown + draw_tokens(rng, TEXT)
    answers = [draw_tokens(rng, ANSWER) for _ in range(n)]
    rows = [tuple(prompt + answer) for answer in answers]
    group = EncodedResponses((), tuple(rows), images=(tuple(parts),) * n, n_prompt=len(prompt))
    packer = VisionPacker(pictures, model.backbone)  # type: ignore[arg-type]  # what it asks of them

    def pad(number: int) -> PaddedBatch:
        batch = pad_rows([rows[:number]], None, padding=0)
        shown = [pictures.pixels[part] for part in parts * number]
        return replace(batch, images=pictures.join_inputs(batch.tokens, shown))

    def score_jointly(orders: Sequence[Sequence[int]]) -> Tensor:
        packed = packer.pack([group], separator=SEPARATOR, orders=[orders])
        return average_orders(model.score(packed), packed.slot, n)

    ways: dict[str, Way] = {
        SEPARATE: lambda: peer.score(pad(n)),
        SHARED: lambda: model.score(packer.pack([group])),
        JOINT: lambda: score_jointly([range(n)]),
    }
    if rotations:
        ways[ROTATIONS] = lambda: score_jointly(list_rotations(n))
    return Workload(ways, count_tokens(prompt, answers), lambda: peer.score(pad(2)))


def list_rotations(n: int) -> list[tuple[int, ...]]:
    return OrderProtocol.parse("rotations").list_orders(b"", [bytes([number]) for number in range(n)])


def average_orders(scores: Tensor, slot: Tensor, n: int) -> Tensor:
    """Average the scores of each response over orders."""
    return torch.zeros(n).index_add(0, slot, scores) * (n / len(scores))


def count_tokens(prompt: Sequence[int], answers: Sequence[Sequence[int]]) -> dict[str, int]:
    n, total = len(answers), sum(map(len, answers))
    gaps = (n - 1) * len(SEPARATOR)
    joined = [
        [*prompt, *itertools.chain.from_iterable([*answers[slot], *SEPARATOR] for slot in order)]
        for order in list_rotations(n)
    ]
    return {
        SEPARATE: n * len(prompt) + total,
        SHARED: count_tree([[*prompt, *answer] for answer in answers]),
        JOINT: len(prompt) + total + gaps,
        ROTATIONS: count_tree([row[: -len(SEPARATOR)] for row in joined]),
        PAIRS: (n - 1) * (n * len(prompt) + total),
    }


def count_tree(rows: Sequence[Sequence[int]]) -> int:
    return len(build_prefix_tree(rows))


def count_by_longest_common_prefix(rows: Sequence[Sequence[int]]) -> int:
    """Count tokens by flash-preference's rule: what all sequences of one prompt begin with is computed once."""
    shared = min(count_common(rows[0], row) for row in rows)
    return shared + sum(len(row) - shared for row in rows)


def print_token_counts() -> None:
    """Print how many tokens sharing leaves: of responses that differ at once, and of trajectories that branch."""
    print(
        f"\ntokens, prompt {PROMPT}, responses {ANSWER}: a prefix tree | a prompt's longest common prefix | all"
    )
    for n in (2, 4, 8):
        rng = random.Random(n)
        prompt, begun = draw_tokens(rng, PROMPT), [draw_tokens(rng, ANSWER // 2) for _ in range(n // 2)]
        plain = [[*prompt, *draw_tokens(rng, ANSWER)] for _ in range(n)]
        branching = [[*prompt, *begun[k // 2], *draw_tokens(rng, ANSWER // 2)] for k in range(n)]
        prompts = [prompt, [*prompt[: PROMPT // 2], *draw_tokens(rng, PROMPT // 2)]]
        two = [[*text, *draw_tokens(rng, ANSWER)] for text in prompts for _ in range(n)]
        for name, rows in {
            "differ at once": plain,
            "pairs begin alike": branching,
            "two prompts, half of them alike": two,
        }.items():
            theirs = sum(
                count_by_longest_common_prefix(rows[start : start + n]) for start in range(0, len(rows), n)
            )
            counts = (count_tree(rows), theirs, sum(map(len, rows)))
            assert counts[0] <= counts[1]
            print(f"  N = {n}, {name:32} " + " | ".join(f"{count:6,}" for count in counts))


def measure(n: int, rounds: int, workload: Workload, finish: Callable[[Tensor, int], None]) -> None:
    """Print the seconds of each way, their ratio to separate passes and to pairs, and the share of the bound.

    Args:
        n: Number of responses.
        rounds: How often each way is measured; the least counts, for whatever else runs only adds to it.
        workload: The ways.
        finish: What is done with scores: nothing, or a loss and its gradient. It is given the scores and N.
    """
    seconds: dict[str, list[float]] = {name: [] for name in (*workload.ways, PAIRS)}
    scores: dict[str, Tensor] = {}
    for _ in range(rounds):
        for name, way in workload.ways.items():
            started = time.process_time()
            scores[name] = way()
            finish(scores[name], n)
            seconds[name].append(time.process_time() - started)
        started = time.process_time()
        finish(workload.score_pair(), 2)
        seconds[PAIRS].append((time.process_time() - started) * n * (n - 1) / 2)
    least = {name: min(times) for name, times in seconds.items()}
    print(f"\nN = {n}")
    for name, took in least.items():
        bound = workload.tokens[SEPARATE] / workload.tokens[name]
        gain = least[SEPARATE] / took
        off = ""
        if name == SHARED:
            off = f"  scores off by {(scores[name] - scores[SEPARATE]).abs().max().item():.0e}"
        print(
            f"  {name:28} {workload.tokens[name]:7,} tokens {took:7.2f} s (median"
            f" {statistics.median(seconds[name]) / took:.2f} ×)  {gain:5.2f} × separate passes, {gain / bound:4.0%} of"
            f" the bound {bound:.2f}  {least[PAIRS] / took:6.2f} × all pairs{off}"
        )
