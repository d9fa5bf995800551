"""Links to the images and videos of a task, for annotators' browsers.

A medium at a web address keeps it: the browser fetches it from there. Everything else (files, `data:` addresses) is
served by `curate verify media` under a link that names its prompt or response and its place there, and that carries a
signature: whoever has no link can guess none, and a link leads to nothing that is not in the lake.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from typing import Self
from urllib.parse import urlsplit

from curate.config.project import Config
from curate.core.secret_key import read_or_make_key
from curate.data.conversation import Conversation
from curate.records import Message, Part

SHOWN = ("image", "video")
NOTHING = "<span></span>"  # Label Studio wants a text for every tag
_SIGNATURE = 32  # hexadecimal digits


@dataclass(frozen=True, slots=True)
class MediaLinks:
    """Makes links to media, and checks them.

    Args:
        address: Address at which `curate verify media` is reached.
        key: Key of the signatures.
    """

    address: str
    key: bytes

    @classmethod
    def open(cls, config: Config) -> Self:
        """Return the links of a project; its key lies in the workspace and is made at first use."""
        key = read_or_make_key(config.resolve(config.workspace) / "media.key")
        return cls(config.verify.media.rstrip("/"), key)

    def link(self, part: Part, owner: str, place: int) -> str:
        """Return the address of a medium: its own on the web, else one of ours.

        Args:
            part: The image or video.
            owner: Id of the prompt or response that holds it.
            place: Its number among the media there, from 0.
        """
        if urlsplit(part.uri or "").scheme.lower() in ("http", "https"):
            return str(part.uri)
        return f"{self.address}/{owner}/{place}/{self.sign(owner, place)}"

    def sign(self, owner: str, place: int) -> str:
        """Return the signature of a link."""
        return hmac.new(self.key, f"{owner}/{place}".encode(), sha256).hexdigest()[:_SIGNATURE]

    def build_gallery(
        self, messages: Sequence[Message], owner: str, title: str = "", *, height: int = 420
    ) -> str:
        """Return the images and videos of a prompt or response as HTML, each with its number.

        Args:
            messages: Messages of the prompt or the response.
            owner: Id of it.
            title: Words before each number, such as "Response 2".
            height: Most pixels of an image or video from top to bottom.
        """
        figures = []
        for place, part in enumerate(list_media(messages)):
            address = escape(self.link(part, owner, place), quote=True)
            name = escape(f"{title} {part.type} {place + 1}".strip())
            style = f'style="max-width:100%;max-height:{height}px"'
            image = f'<img src="{address}" alt="{name}" {style}>'
            medium = (
                f'<video src="{address}" controls preload="metadata" {style}></video>'
                if part.type == "video"
                else f'<a href="{address}" target="_blank" rel="noreferrer">{image}</a>'
            )
            figures.append(
                '<figure style="display:inline-block;margin:4px 8px 4px 0">'
                f"{medium}<figcaption>{name}</figcaption></figure>"
            )
        return "".join(figures) or NOTHING


def list_media(messages: Sequence[Message]) -> list[Part]:
    """List the images and videos of some messages, in their order."""
    return [part for message in messages for part in message.content if part.type in SHOWN]


def hide_addresses(messages: Sequence[Message]) -> Conversation:
    """Return messages that name images and videos by the numbers that galleries give them, and not by address.

    An address may name the model that made a picture, which nobody who judges it should know.
    """
    numbers = iter(range(1, 1 + len(list_media(messages))))
    return tuple(
        message.model_copy(
            update={
                "content": tuple(
                    Part(text=f"[{part.type} {next(numbers)}]") if part.type in SHOWN else part
                    for part in message.content
                )
            }
        )
        for message in messages
    )
