"""Chats with images: the inputs of a vision-language model, made by its own processor, and its scores as a judge.

In the tokens of a chat (see chat_tokens.py: text inside a message never becomes a control token) the place of each
image is filled with the tokens that the processor writes for it. Images are processed one by one, so the tokens of an
image do not depend on which others it is shown with.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import repeat
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from curate.config.images import ImageAccess
from curate.core.errors import CurateError
from curate.data.media import RefusedImageError, UnreadableImageError, images_of, open_image
from curate.engine.base import Chat, Failure, Score
from curate.engine.chat_tokens import ChatTokens
from curate.records import Part, plain_text

Ids = tuple[int, ...]

_CACHED_IMAGES = 8  # processed images (some take 50 MB): the responses to a prompt share its images
_KINDS = ("mm_token_type_ids", "token_type_ids")  # of each token: 0 text, 1 an image's
_CROSS = "cross_attention_mask"  # of models that look at images beside the text, not within it


class VisionTokens(ChatTokens):
    """`ChatTokens` of a processor: `encode` counts images with all their tokens.

    A Failure where an image cannot be read; its `raw` is the address. Videos are not read.
    """

    def __init__(self, processor: Any, max_length: int, access: ImageAccess) -> None:
        self.processor, self.access = processor, access
        self._image = lru_cache(_CACHED_IMAGES)(self._process_image)
        if not processor.chat_template and not processor.tokenizer.chat_template:
            raise CurateError(
                "The processor has no chat template, so it is not known how the model reads a chat with images."
            )
        super().__init__(processor.tokenizer, max_length)
        self._place = self._find_image_token()
        ids, inputs, kinds = self._run_processor(_make_blank_image())
        if _CROSS in inputs:
            raise CurateError(
                "The model attends to its images from beside the text, which is not supported: take one that reads "
                "them as tokens (Qwen-VL, SmolVLM, LLaVA, Gemma …)."
            )
        self._kinds = next((name for name in _KINDS if name in kinds), None)
        of_images = [
            token for token, kind in zip(ids, kinds.get(self._kinds or "", ()), strict=False) if kind
        ]
        self._of_images = torch.tensor(sorted(set(of_images)), dtype=torch.int64)

    def encode_all(
        self,
        chats: Sequence[tuple[Chat, str]],
        *,
        answer: bool = True,
        rooms: Iterable[int] = repeat(0),
        tools: Iterable[str | None] = repeat(None),
    ) -> list[list[int] | Failure]:
        encoded = super().encode_all(chats, answer=answer, tools=tools)
        filled = [
            ids if isinstance(ids, Failure) else self._fill_image_tokens(ids, images_of(messages))
            for (messages, _), ids in zip(chats, encoded, strict=True)
        ]
        return [
            ids if isinstance(ids, Failure) else self.check_length(len(ids) + room) or ids
            for ids, room in zip(filled, rooms, strict=False)
        ]

    def build_inputs(self, tokens: Tensor, images: Sequence[Part]) -> dict[str, Tensor]:
        """Build the inputs of the model besides `tokens` int64[B, L], which hold these images in this order."""
        return self.join_inputs(tokens, [self.read_image(part)[1] for part in images])

    def read_image(self, part: Part) -> tuple[Ids, dict[str, Tensor]]:
        """Return the tokens that stand for an image that was readable before, and the model's inputs for it."""
        try:
            return self._image(part)
        except UnreadableImageError as error:
            raise CurateError(
                f"The image {(part.uri or '')[:200]} was readable before, and now it is not ({error}): put it back, "
                "and run the same command to go on."
            ) from error

    def join_inputs(self, tokens: Tensor, images: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
        """Join the model's inputs for the images that `tokens` int64[B, L] hold, in this order."""
        arrays: dict[str, list[Tensor]] = {}
        for image_inputs in images:
            for name, value in image_inputs.items():
                arrays.setdefault(name, []).append(value)
        inputs = {name: _concatenate_with_padding(values) for name, values in arrays.items()}
        if self._kinds is not None:
            inputs[self._kinds] = self.mark_image_tokens(tokens)
        return inputs

    @property
    def image_token(self) -> int:
        """The token in whose places the model puts what it sees of an image."""
        return self._place

    def mark_image_tokens(self, tokens: Tensor) -> Tensor:
        """Return 1 for each token that stands for an image, 0 for the others."""
        return torch.isin(tokens, self._of_images).long()

    def _fill_image_tokens(self, ids: Sequence[int], images: Sequence[Part]) -> list[int] | Failure:
        if list(ids).count(self._place) != len(images):
            return Failure("the chat template has no place for an image", permanent=True)
        filled: list[int] = []
        remaining = iter(images)
        for token in ids:
            if token != self._place:
                filled.append(token)
                continue
            part = next(remaining)
            try:
                filled += self._image(part)[0]
            except UnreadableImageError as error:
                permanent = not isinstance(error, RefusedImageError)  # settings may come to allow it
                return Failure(str(error), raw=part.uri and part.uri[:200], permanent=permanent)
        return filled

    def _process_image(self, part: Part) -> tuple[Ids, dict[str, Tensor]]:
        """Return the tokens that stand for an image, and the model's inputs for it."""
        image = open_image(part, self.access)
        try:
            ids, inputs, _ = self._run_processor(image)
        except (ValueError, TypeError, ZeroDivisionError) as error:  # a line of pixels, say
            raise UnreadableImageError("an image is of a size or kind that the processor refuses") from error
        return ids, inputs

    def _run_processor(self, image: Any) -> tuple[Ids, dict[str, Tensor], dict[str, list[int]]]:
        """Return the tokens of an image, the model's inputs, and the kind of each token (see `_KINDS`)."""
        place = self.tokenizer.convert_ids_to_tokens(self._place)
        inputs = self.processor(text=[place], images=[[image]], return_tensors="pt", add_special_tokens=False)
        ids = tuple(inputs.pop("input_ids")[0].tolist())
        inputs.pop("attention_mask", None)
        kinds = {name: inputs.pop(name)[0].tolist() for name in _KINDS if name in inputs}
        return ids, dict(inputs), kinds

    def _find_image_token(self) -> int:
        """Return the token that the template writes where an image stands."""
        rendered = self._render_turns([{"role": "user", "content": [{"type": "image"}]}], answer=False)
        token = getattr(self.processor, "image_token", None)
        if token is None or token not in rendered:
            raise CurateError("The chat template has no place for images, so the model cannot be shown any.")
        return int(self.tokenizer.convert_tokens_to_ids(token))

    def _render_turns(
        self, turns: Sequence[dict[str, Any]], *, answer: bool, tools: list[Any] | None = None
    ) -> str:
        listed = [{**turn, "content": _list_parts(turn["content"])} for turn in turns]
        template = self.processor.chat_template or self.tokenizer.chat_template
        rendered = self.processor.apply_chat_template(
            listed, tools=tools, chat_template=template, tokenize=False, add_generation_prompt=answer
        )
        return str(rendered)

    def _convert_turns(self, messages: Chat, written: list[str]) -> list[dict[str, Any]] | Failure:
        unread = {part.type for turn in messages for part in turn.content} - {"text", "image"}
        if unread:
            return Failure(f"the model reads no {min(unread)}, and the chat holds one", permanent=True)
        return self._turns.build_turns(
            messages,
            lambda text: self._mark_control_strings(text, written),
            lambda message: [self._convert_part(part, written) for part in _merge_texts(message.content)],
        )

    def _join_contents(self, first: Any, second: Any) -> Any:
        return [*_list_parts(first), {"type": "text", "text": "\n\n"}, *_list_parts(second)]

    def _get_template_text(self) -> str:
        return str(self.processor.chat_template or self.tokenizer.chat_template)

    def _convert_part(self, part: Part, written: list[str]) -> dict[str, str]:
        if part.type == "image":
            return {"type": "image"}
        return {"type": "text", "text": self._mark_control_strings(part.text or "", written)}


@dataclass(slots=True)
class VisionReward:
    """A vision-language reward model that `curate train` saved, as an engine that scores.

    Chats go through it in the order given, as many at once as have `budget` tokens when padded: chats about one prompt
    follow each other, and share its images.
    """

    model: Any
    tokens: VisionTokens
    budget: int

    @property
    def left_out(self) -> Counter[str]:
        return self.tokens.left_out

    def score(self, chats: Sequence[Chat], tools: Sequence[str | None] = ()) -> list[Score | Failure]:
        results: dict[int, Score | Failure] = {}
        batch: dict[int, list[int]] = {}
        for place, chat in enumerate(chats):
            ids = self.tokens.encode_chat(chat, answer=False, tools=tools[place] if tools else None)
            if isinstance(ids, Failure):
                results[place] = ids
                continue
            longest = max(map(len, (*batch.values(), ids)))
            if batch and (len(batch) + 1) * longest > self.budget:
                results |= self._score_batch(batch, chats)
                batch = {}
            batch[place] = ids
        if batch:
            results |= self._score_batch(batch, chats)
        return [results[place] for place in range(len(chats))]

    def _score_batch(self, batch: dict[int, list[int]], chats: Sequence[Chat]) -> dict[int, Score]:
        padding = self.model.config.get_text_config().pad_token_id or 0
        rows = [torch.tensor(ids) for ids in batch.values()]
        tokens = pad_sequence(rows, batch_first=True, padding_value=padding)
        mask = pad_sequence([torch.ones_like(row) for row in rows], batch_first=True)
        inputs = self.tokens.build_inputs(
            tokens, [part for place in batch for part in images_of(chats[place])]
        )
        inputs |= {"input_ids": tokens, "attention_mask": mask}
        with torch.inference_mode():
            logits = self.model(**move_inputs(inputs, self.model.backbone)).logits[:, 0].double().cpu()
        return {
            place: Score(float(value), len(ids))
            for (place, ids), value in zip(batch.items(), logits, strict=True)
        }


def move_inputs(inputs: dict[str, Tensor], backbone: Any) -> dict[str, Tensor]:
    """Return the inputs on the backbone's device; pixels in its precision."""
    return {
        name: value.to(backbone.device, backbone.dtype if value.is_floating_point() else None)
        for name, value in inputs.items()
    }


def _merge_texts(content: Sequence[Part]) -> Iterator[Part]:
    """Yield the parts, with texts that follow each other as one, as text-only models read them."""
    texts: list[Part] = []
    for part in content:
        if part.type == "text":
            texts.append(part)
            continue
        if texts:
            yield Part(text=plain_text(texts))
        yield part
        texts = []
    if texts:
        yield Part(text=plain_text(texts))


def _list_parts(content: str | list[dict[str, str]]) -> list[dict[str, str]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _concatenate_with_padding(values: Sequence[Tensor]) -> Tensor:
    """Concatenate arrays; those that differ in size are padded with zeros, as processors pad a batch of images."""
    sizes = [max(dims) for dims in zip(*(value.shape[1:] for value in values), strict=True)]
    return torch.cat([functional.pad(value, _compute_padding(value, sizes)) for value in values])


def _compute_padding(value: Tensor, sizes: Sequence[int]) -> list[int]:
    """Compute the argument of torch's `pad`: for each axis but the first, from the last on, (0, missing)."""
    pairs = [(0, size - have) for size, have in zip(sizes, value.shape[1:], strict=True)]
    return [number for pair in reversed(pairs) for number in pair]


def _make_blank_image() -> Any:
    from PIL import Image

    return Image.new("RGB", (64, 64))
