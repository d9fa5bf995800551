"""Images of a chat as OpenAI's API takes them: `image_url` parts with a `data:` URI, or with a web address."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from curate.config.images import ImageAccess
from curate.data.embedded_media import embed_image
from curate.data.image_fetch import resolve_host
from curate.data.media import RefusedImageError, UnreadableImageError
from curate.engine.base import Failure
from curate.records import Message, Part, plain_text


@dataclass(slots=True)
class ImageParts:
    """Builds the contents of messages; an image that several requests show is read once.

    Args:
        access: Says which addresses are opened, by us or by the server.
        by_address: Web addresses go to the server as they are; else every image is sent itself.
    """

    access: ImageAccess
    by_address: bool = False
    _urls: dict[Part, str | Failure] = field(init=False, default_factory=dict)

    def find_failure(self, messages: Sequence[Message]) -> Failure | None:
        """Return why a chat cannot be sent: its first image that cannot be read, or a part that is no image."""
        for part in (part for message in messages for part in message.content if part.type != "text"):
            if part.type != "image":
                return Failure(f"the model reads no {part.type}, and the chat holds one", permanent=True)
            if isinstance(url := self._make_url(part), Failure):
                return url
        return None

    def build_content(self, message: Message) -> str | list[dict[str, Any]]:
        """Return the content of a message: text, or a list of parts where it has images."""
        if all(part.type == "text" for part in message.content):
            return plain_text(message.content)
        return [
            {"type": "text", "text": part.text or ""}
            if part.type == "text"
            else {"type": "image_url", "image_url": {"url": self._make_url(part)}}
            for part in message.content
        ]

    def _make_url(self, part: Part) -> str | Failure:
        if part not in self._urls:
            self._urls[part] = self._prepare(part)
        return self._urls[part]

    def _prepare(self, part: Part) -> str | Failure:
        address = urlsplit(part.uri or "")
        try:
            if not self.by_address or address.scheme not in ("http", "https"):
                return embed_image(part, self.access)
            if part.sha256 is not None:  # the server would not look at it
                return embed_image(part, self.access)
            default = 443 if address.scheme == "https" else 80
            resolve_host(address.hostname or "", address.port or default, self.access)
        except (OSError, ValueError):
            return Failure("an image is at a web address that does not exist", raw=part.uri, permanent=False)
        except UnreadableImageError as error:
            permanent = not isinstance(error, RefusedImageError)  # settings may come to allow it
            return Failure(str(error), raw=part.uri and part.uri[:200], permanent=permanent)
        return str(part.uri)
