"""Published benchmarks of judges and reward models that see: images and videos in prompts and in responses.

| format                 | columns |
| ---                    | --- |
| `vl-rewardbench`       | id, query, image, response [2], human_ranking [2] (0 is the better one) |
| `mmrb2`                | `pairs`: prompt_content, response_a, response_b, and human_preference or chosen |
| `mr2bench`             | prompt, responses [N], rankings [N] (1 is the best, ties allowed), image or video |
| `imagereward`          | id, prompt, generations [N], ranking [N] (1 is the best, ties allowed) |
| `genai-bench`          | prompt or instruct_prompt, left_… and right_… (image, output_image, video), vote_type |
| `videogen-rewardbench` | prompt, path_A, path_B, Overall, VQ, MQ, TA (A, B or same) |

A pair that people call a tie decides nothing, so it is left out, and counted. Addresses are those of the files as
their authors publish them; `{kind: imagereward, root: FOLDER}` says where the files lie.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field

from curate.core.section import Section
from curate.data.conversation import Conversation, read_address
from curate.data.preference_rows import Unusable
from curate.evaluate.benchmark import BenchmarkItem
from curate.evaluate.benchmark_formats import BenchmarkFormat, Row
from curate.records import Message, Part

TIE = "people call it a tie"
_MEDIA = ("image", "video")


class MediaFormatOptions(Section):
    """Options of formats whose rows name files."""

    root: str = Field(
        "", description="Folder of the images and videos; it is put before relative addresses of the rows."
    )


class MediaFormat(BenchmarkFormat):
    """Base of formats whose rows hold images or videos."""

    Options = MediaFormatOptions

    def make_part(self, kind: Literal["image", "video"], value: object) -> Part:
        """Make an image or video of what a row holds: an address, or bytes as `datasets` stores them."""
        address = read_address(value)
        if not address:
            raise Unusable(f"{'an' if kind == 'image' else 'a'} {kind} is missing")
        if self.options.root and not urlsplit(address).scheme and not address.startswith("/"):
            address = str(PurePosixPath(self.options.root) / address)
        return Part(type=kind, uri=address)

    def make_answer(self, kind: Literal["image", "video"], value: object) -> Conversation:
        """Make a response that is one image or video."""
        return (Message(role="assistant", content=(self.make_part(kind, value),)),)


_GROUPS = {
    "RLAIF": "hallucination",
    "RLHF": "hallucination",
    "mathverse": "reasoning",
    "mmmu": "reasoning",
}  # beginning of an id, up to the first - or _, → the authors' group; the others are "general"


class VlRewardBench(MediaFormat):
    """VL-RewardBench (Li et al. 2025, arXiv 2411.17451)."""

    hub, split = "MMInstruction/VL-RewardBench", "test"

    @classmethod
    def recognizes(cls, row: Row) -> bool:
        return {"query", "response", "human_ranking", "image"} <= row.keys()

    def read_row(self, row: Row, key: str) -> BenchmarkItem:
        identity = str(row.get("id", key))
        ranking = _read_ranks(row, "human_ranking")
        answers = _read_list(row, "response", len(ranking))
        return BenchmarkItem(
            key=identity,
            context=_make_prompt([self.make_part("image", row.get("image")), _read_text(row, "query")]),
            responses=tuple(_make_text_answer(answer) for answer in answers),
            tiers=_make_tiers(ranking),
            subset=_GROUPS.get(identity.replace("-", "_").partition("_")[0], "general"),
        )


class Mmrb2(MediaFormat):
    """Multimodal RewardBench 2 (Hu et al. 2025): text to image, editing, interleaved, reasoning; one file each."""

    @classmethod
    def recognizes(cls, row: Row) -> bool:
        return {"prompt_content", "response_a", "response_b"} <= row.keys()

    def read_row(self, row: Row, key: str) -> BenchmarkItem:
        better = str(row.get("human_preference") or row.get("chosen") or "").upper()
        if better not in ("A", "B"):
            raise Unusable(TIE if better in ("TIE", "SAME", "C") else "human_preference is neither A nor B")
        answers = [self._read_content(_read_mapping(row, name), "response_content") for name in _SIDES]
        return BenchmarkItem(
            key=str(row.get("pair_id") or row.get("id") or key),
            context=_make_prompt(self._read_content(row, "prompt_content")),
            responses=tuple((Message(role="assistant", content=tuple(answer)),) for answer in answers),
            tiers=(1, 2) if better == "A" else (2, 1),
            subset=str(row.get("prompt_source") or "all"),
        )

    def _read_content(self, row: Row, name: str) -> list[Part]:
        pieces = row.get(name)
        if not isinstance(pieces, Sequence) or isinstance(pieces, str) or not pieces:
            raise Unusable(f"{name} is no list of texts and images")
        parts = []
        for piece in pieces:
            kind, value = piece if isinstance(piece, Sequence) and len(piece) == 2 else (None, None)
            if kind == "text" and isinstance(value, str):
                parts.append(Part(text=value))
            elif kind == "image" or kind == "video":
                parts.append(self.make_part(kind, value))
            else:
                raise Unusable(f"{name} holds something that is neither text nor image nor video")
        return parts


_SIDES = ("response_a", "response_b")


class Mr2Bench(MediaFormat):
    """MR²Bench (Yang et al. 2026, arXiv 2604.10966), in the schema that its authors publish: N responses, ranked."""

    @classmethod
    def recognizes(cls, row: Row) -> bool:
        return {"prompt", "responses", "rankings"} <= row.keys() and any(row.get(kind) for kind in _MEDIA)

    def read_row(self, row: Row, key: str) -> BenchmarkItem:
        ranks = _read_ranks(row, "rankings")
        answers = _read_list(row, "responses", len(ranks))
        media = [self.make_part(kind, row[kind]) for kind in ("image", "video") if row.get(kind)]
        return BenchmarkItem(
            key=str(row.get("id", key)),
            context=_make_prompt([*media, _read_text(row, "prompt")]),
            responses=tuple(_make_text_answer(answer) for answer in answers),
            tiers=_make_tiers(ranks),
            subset=str(row.get("category") or media[0].type),
        )


class ImageReward(MediaFormat):
    """ImageReward's test set (Xu et al. 2023, arXiv 2304.05977): 4 to 9 images of a text, ranked by people."""

    @classmethod
    def recognizes(cls, row: Row) -> bool:
        return {"prompt", "generations", "ranking"} <= row.keys()

    def read_row(self, row: Row, key: str) -> BenchmarkItem:
        ranks = _read_ranks(row, "ranking")
        images = _read_list(row, "generations", len(ranks))
        return BenchmarkItem(
            key=str(row.get("id", key)),
            context=_make_prompt([_read_text(row, "prompt")]),
            responses=tuple(self.make_answer("image", image) for image in images),
            tiers=_make_tiers(ranks),
        )


class GenAiBench(MediaFormat):
    """GenAI-Bench (Jiang et al. 2024, arXiv 2406.04485): images, edits of images and videos, by votes of people."""

    @classmethod
    def recognizes(cls, row: Row) -> bool:
        return {"left_model", "right_model", "vote_type"} <= row.keys()

    def read_row(self, row: Row, key: str) -> BenchmarkItem:
        vote = str(row.get("vote_type"))
        if vote in ("tievote", "bothbad_vote"):
            raise Unusable(TIE)
        if vote not in ("leftvote", "rightvote"):
            raise Unusable("vote_type is none of leftvote, rightvote, tievote, bothbad_vote")
        name, kind, subset = next(
            (shape for shape in _GENAI_SHAPES if f"left_{shape[0]}" in row), ("image", "image", "generation")
        )
        prompt: list[Part] = []
        if row.get("source_image") is not None:
            prompt.append(self.make_part("image", row["source_image"]))
        prompt.append(_read_text(row, "instruct_prompt" if "instruct_prompt" in row else "prompt"))
        return BenchmarkItem(
            key=str(row.get("vote_id") or row.get("id") or key),
            context=_make_prompt(prompt),
            responses=tuple(self.make_answer(kind, row.get(f"{side}_{name}")) for side in ("left", "right")),
            tiers=(1, 2) if vote == "leftvote" else (2, 1),
            subset=subset,
        )


_GENAI_SHAPES: tuple[tuple[str, Literal["image", "video"], str], ...] = (
    ("output_image", "image", "image editing"),
    ("video", "video", "video generation"),
    ("image", "image", "image generation"),
)  # column after left_ and right_, what it holds, name of the part


class VideoRewardOptions(MediaFormatOptions):
    """Options of VideoGen-RewardBench."""

    aspect: Literal["Overall", "VQ", "MQ", "TA"] = Field(
        "Overall",
        description="Verdict that is gold: overall, visual quality, motion quality, text alignment.",
    )


class VideoGenRewardBench(MediaFormat):
    """VideoGen-RewardBench, of VideoReward (Liu et al. 2025, arXiv 2501.13918): pairs of videos to a text."""

    Options = VideoRewardOptions

    @classmethod
    def recognizes(cls, row: Row) -> bool:
        return {"path_A", "path_B", "Overall"} <= row.keys()

    def read_row(self, row: Row, key: str) -> BenchmarkItem:
        better = str(row.get(self.options.aspect))
        if better not in ("A", "B"):
            raise Unusable(TIE if better == "same" else f"{self.options.aspect} is none of A, B, same")
        return BenchmarkItem(
            key=key,
            context=_make_prompt([_read_text(row, "prompt")]),
            responses=tuple(self.make_answer("video", row.get(name)) for name in ("path_A", "path_B")),
            tiers=(1, 2) if better == "A" else (2, 1),
        )


def _make_prompt(parts: Sequence[Part]) -> Conversation:
    return (Message(role="user", content=tuple(parts)),)


def _make_text_answer(text: object) -> Conversation:
    if not isinstance(text, str):
        raise Unusable("a response is no text")
    return (Message(role="assistant", content=(Part(text=text),)),)


def _read_text(row: Row, name: str) -> Part:
    value = row.get(name)
    if not isinstance(value, str):
        raise Unusable(f"{name} is missing or no text")
    return Part(text=value)


def _read_mapping(row: Row, name: str) -> Mapping[str, Any]:
    value = row.get(name)
    if not isinstance(value, Mapping):
        raise Unusable(f"{name} is no object")
    return value


def _read_list(row: Row, name: str, number: int) -> list[Any]:
    value = row.get(name)
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != number:
        raise Unusable(f"{name} is no list of as many entries as there are ranks")
    return list(value)


def _read_ranks(row: Row, name: str) -> list[int]:
    value = row.get(name)
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) < 2:
        raise Unusable(f"{name} is no list of ranks")
    ranks = [rank for rank in value if isinstance(rank, int) and not isinstance(rank, bool)]
    if len(ranks) != len(value):
        raise Unusable(f"{name} is no list of ranks")
    if len(set(ranks)) == 1:
        raise Unusable(TIE)
    return ranks


def _make_tiers(ranks: Sequence[int]) -> tuple[int, ...]:
    """Return tiers from ranks, of which the lowest is the best: 1 + the number of responses that are better."""
    return tuple(1 + sum(other < rank for other in ranks) for rank in ranks)
