"""Pairs with images and videos on the page: the labels that are least sure, with small pictures of what they are about.

A picture is opened by the rules of `images`, decoded, made smaller and written as a JPEG into the page, so the page
shows pixels of ours and no address of a row. Of a video its middle frame is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from curate.config.images import ImageAccess
from curate.config.project import Config
from curate.core.errors import CurateError
from curate.core.resources import read_query
from curate.data.conversation import Conversation, load_messages
from curate.data.embedded_media import make_thumbnail
from curate.data.media import UnreadableImageError, open_image
from curate.data.video import FrameSampling, sample_frames
from curate.lake.lake import Lake
from curate.records import Part

_EDGE = 220  # pixels of a thumbnail's longer side
_MOST = 4  # thumbnails of one prompt or response


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A small picture.

    Attributes:
        name: What it is of: "image 1", "video 2".
        uri: It as a `data:` URI; "" where it cannot be shown.
        problem: Why it cannot be shown.
    """

    name: str
    uri: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class PicturedTexts:
    """The text of a prompt or response, its first thumbnails, and how many more media it has."""

    text: str
    thumbnails: tuple[Thumbnail, ...]
    more: int = 0


@dataclass(frozen=True, slots=True)
class PicturedPair:
    """A label of a pair; `better` comes first unless it is a tie."""

    prompt: PicturedTexts
    first: PicturedTexts
    second: PicturedTexts
    is_tie: bool
    confidence: float


def gather_pictures(reader: Lake, config: Config) -> list[PicturedPair]:
    """Gather the labels of pairs with images or videos that are least sure, as many as `report.examples`."""
    access = config.image_access()
    rows = reader.rows(read_query("report_pictures"), [config.report.examples])
    return [_build_pair(row, access) for row in rows]


def _build_pair(row: Sequence[Any], access: ImageAccess) -> PicturedPair:
    prompt, a, b = (_show_messages(load_messages(stored), access) for stored in row[:3])
    outcome, confidence = row[3:]
    first, second = (b, a) if outcome == "b" else (a, b)
    return PicturedPair(prompt, first, second, outcome == "tie", confidence)


def _show_messages(messages: Conversation, access: ImageAccess) -> PicturedTexts:
    parts = [part for message in messages for part in message.content]
    media = [part for part in parts if part.type in ("image", "video")]
    thumbnails = tuple(_make_thumbnail(part, number, access) for number, part in enumerate(media[:_MOST], 1))
    text = "\n".join(part.text for part in parts if part.text)
    return PicturedTexts(text, thumbnails, max(0, len(media) - _MOST))


def _make_thumbnail(part: Part, number: int, access: ImageAccess) -> Thumbnail:
    name = f"{part.type} {number}"
    try:
        if part.type == "video":
            (image,) = sample_frames(part, access, FrameSampling(number=1)).images
        else:
            image = open_image(part, access)
    except (UnreadableImageError, CurateError) as error:  # the latter where Pillow or PyAV is not installed
        return Thumbnail(name, problem=str(error))
    return Thumbnail(name, make_thumbnail(image, _EDGE))
