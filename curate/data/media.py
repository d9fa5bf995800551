"""Images by address: a file, `file://`, a `data:` URI, or http(s); decoded, and checked against their digest.

    open_image(Part(type="image", uri="images/cat.png"), folder=Path("."))

Nothing is kept: what stands at a web address is fetched anew each time it is opened.
"""

from __future__ import annotations

import hashlib
import io
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from curate.core.extras import require_extra
from curate.records import Message, Part

if TYPE_CHECKING:
    from PIL.Image import Image

_TIMEOUT = 30.0  # seconds without a byte of a web address
_MOST = 64 << 20  # bytes of one image


class UnreadableImageError(Exception):
    """What is wrong with an image, without its address: rows are counted by it."""


def images_of(messages: Iterable[Message]) -> tuple[Part, ...]:
    """The parts that are images, in the order of the chat."""
    return tuple(part for turn in messages for part in turn.content if part.type == "image")


def open_image(part: Part, folder: Path) -> Image:
    """The image in RGB, turned the right way up. Relative paths start at `folder`."""
    require_extra("vision", "PIL", purpose="Reading images")
    from PIL import Image, ImageOps

    held = _read_bytes(part.uri or "", folder)
    if part.sha256 is not None and hashlib.sha256(held).hexdigest() != part.sha256.lower():
        raise UnreadableImageError("an image has another sha256 than its row says")
    try:
        with Image.open(io.BytesIO(held)) as found:
            return ImageOps.exif_transpose(found).convert("RGB")
    except (
        OSError,
        ValueError,
        SyntaxError,
        Image.DecompressionBombError,
    ) as error:  # Pillow raises them all
        raise UnreadableImageError("an image cannot be decoded") from error


def _read_bytes(uri: str, folder: Path) -> bytes:
    if not uri:
        raise UnreadableImageError("an image has no address")
    scheme = urlsplit(uri[:64]).scheme
    try:
        if not scheme:
            return (folder / Path(uri).expanduser()).read_bytes()
        if scheme not in ("data", "file", "http", "https"):
            raise UnreadableImageError(f"an image is at an address of an unknown kind ({scheme}:)")
        with urllib.request.urlopen(uri, timeout=_TIMEOUT) as stream:
            held: bytes = stream.read(_MOST + 1)
    except (OSError, ValueError) as error:  # urllib's own errors are among these
        missing = scheme in ("", "file")
        what = "an image's file cannot be read" if missing else "an image cannot be fetched from its address"
        raise UnreadableImageError(what) from error
    if len(held) > _MOST:
        raise UnreadableImageError(f"an image has more than {_MOST >> 20} MiB")
    return held


def part_text(part: Mapping[str, Any]) -> str:
    """A part of a message as exports write it: its text, or a mark where an image or video stands."""
    text = part.get("text")
    return text if isinstance(text, str) else f"[{part.get('type')} {part.get('uri') or ''}]"
