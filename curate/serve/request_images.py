"""Images of requests: which ones the server takes, and what a model reads of them.

A request comes from anybody who reaches the port, so an image is in the request itself (a `data:` URI) or at a web
address that the server was told to fetch from: a path would read the server's own files. What is fetched is fetched
once, by the thread that reads the request, and goes on as a `data:` URI.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from curate.config.images import ImageAccess
from curate.data.conversation import Conversation
from curate.data.embedded_media import make_data_uri
from curate.data.media import UnreadableImageError, measure_image, read_medium
from curate.engine.base import Failure
from curate.records import Part
from curate.reward.scorer import PromptResponses
from curate.serve.limits import RefusedError

_NO_IMAGES = (
    "the model reads text alone, and there is {kind} in the request: leave it out, or serve one that sees"
)
_NO_PATHS = (
    "an image of a request has to be a `data:` URI or a web address, and no path of the server's own files"
)


@dataclass(frozen=True, slots=True)
class RequestImages:
    """Takes the images of requests for one model.

    Args:
        reads_images: The model is a vision-language model.
        access: Which web addresses are fetched; files are never opened.
        most: Images of a request; more are refused.
        max_bytes: Of an image that is fetched; those in the request are part of its bytes.
        max_pixels: Of an image; it is not decoded to see that it has more.
    """

    reads_images: bool
    access: ImageAccess
    most: int
    max_bytes: int
    max_pixels: int

    def take(self, prompts: Sequence[PromptResponses]) -> list[PromptResponses]:
        """Return the prompts of a request with images that the model can read; one with others says why it cannot.

        Raises:
            RefusedError: There are too many images.
        """
        count = len({part.uri for prompt in prompts for part in _list_media(prompt)})
        if self.reads_images and count > self.most:
            raise RefusedError(
                413, f"{count} images in one request, of {self.most} allowed: send fewer at a time."
            )
        fetched: dict[Part, Part] = {}
        return [self._take_prompt(prompt, fetched) for prompt in prompts]

    def _take_prompt(self, prompt: PromptResponses, fetched: dict[Part, Part]) -> PromptResponses:
        media = _list_media(prompt)
        if not media:
            return prompt
        if not self.reads_images:
            kind = min(part.type for part in media)
            reason = _NO_IMAGES.format(kind="a video" if kind == "video" else f"an {kind}")
            return replace(prompt, encoded=Failure(reason, permanent=True))
        try:
            for part in media:
                if part not in fetched:
                    fetched[part] = self._fetch(part)
        except UnreadableImageError as error:
            reason = str(error).replace("images.http", "--image-http").replace("images.hosts", "--image-host")
            return replace(prompt, encoded=Failure(reason, permanent=True))
        responses = tuple(_swap_parts(response, fetched) for response in prompt.responses)
        return replace(prompt, context=_swap_parts(prompt.context, fetched), responses=responses)

    def _fetch(self, part: Part) -> Part:
        """Return an image as a part that holds it."""
        if part.type != "image":
            return part  # the model says itself that it reads no such media
        scheme = (part.uri or "").partition(":")[0].lower()
        if not part.uri:
            raise UnreadableImageError("an image has no address")
        if scheme not in ("data", "http", "https"):
            raise UnreadableImageError(_NO_PATHS)
        content = read_medium(part, self.access)
        if len(content) > self.max_bytes:
            raise UnreadableImageError(f"an image has more than {self.max_bytes:,} bytes")
        width, height = measure_image(content)
        if width * height > self.max_pixels:
            raise UnreadableImageError(f"an image has more than {self.max_pixels:,} pixels")
        return part if scheme == "data" else part.model_copy(update={"uri": make_data_uri(content, "")})


def _list_media(prompt: PromptResponses) -> list[Part]:
    conversations = (prompt.context, *prompt.responses)
    return [
        part
        for messages in conversations
        for turn in messages
        for part in turn.content
        if part.type != "text"
    ]


def _swap_parts(messages: Conversation, fetched: dict[Part, Part]) -> Conversation:
    return tuple(
        message.model_copy(update={"content": tuple(fetched.get(part, part) for part in message.content)})
        if any(part.type != "text" for part in message.content)
        else message
        for message in messages
    )
