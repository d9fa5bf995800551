"""Images by address: a file, `file://`, a `data:` URI, or http(s); decoded, and checked against their digest.

    open_image(Part(type="image", uri="images/cat.png"), ImageAccess(Path(".")))

Addresses come from rows of data, which may be anybody's: `ImageAccess` says which of them are opened at all. Nothing is
kept: what stands at a web address is fetched anew each time it is opened.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import stat
import urllib.request
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from curate.config.images import ImageAccess
from curate.core.extras import require_extra
from curate.records import Message, Part

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

MAX_BYTES = 64 << 20  # of one image
MAX_PIXELS = 64 << 20  # of one image: a file of 20 kB can unpack to gigabytes
_ORIENTATION = 0x0112  # the tag of EXIF that says how a camera was held
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
# Not all that Pillow reads: it hands EPS files to another program.
_FORMATS = ("AVIF", "BMP", "GIF", "ICO", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "TGA", "TIFF", "WEBP")


class UnreadableImageError(Exception):
    """An image that cannot be read. The message leaves the address out: rows are counted by it."""


class RefusedImageError(UnreadableImageError):
    """The image may be there, but the settings under `images` do not allow its address."""


def images_of(messages: Iterable[Message]) -> tuple[Part, ...]:
    """The parts that are images, in the order of the chat."""
    return tuple(part for turn in messages for part in turn.content if part.type == "image")


def open_image(part: Part, access: ImageAccess) -> Image:
    """Open an image in RGB, turned the right way up.

    Raises:
        UnreadableImageError: Whatever is wrong with the image or its address; RefusedImageError where it is not
            allowed.
    """
    return decode_image(read_medium(part, access))[0]


def read_medium(part: Part, access: ImageAccess) -> bytes:
    """Read the bytes of an image or a video, and hold them against the digest of its row.

    Raises:
        UnreadableImageError: It cannot be read, is too large or has another digest; RefusedImageError where it is not
            allowed.
    """
    content = _read(part.uri or "", access)
    if len(content) > MAX_BYTES:
        raise UnreadableImageError(f"an image has more than {MAX_BYTES >> 20} MiB")
    if part.sha256 is not None and hashlib.sha256(content).hexdigest() != part.sha256.lower():
        raise UnreadableImageError("an image has another sha256 than its row says")
    return content


def decode_image(content: bytes) -> tuple[Image, str, bool]:
    """Decode an image as people see it on a white page: in RGB, the right way up, its first picture.

    Returns:
        The image, the name of its format, and whether its bytes could show anything else: who reads them has to turn
        it, lay it on some ground, or bring its colours to 8 bits of red, green and blue.

    Raises:
        UnreadableImageError: It cannot be decoded, or has too many pixels.
    """
    require_extra("media", "PIL", purpose="Reading images")
    from PIL import ImageOps

    try:
        with _open(content) as image:
            _check_size(image)
            is_turned = image.getexif().get(_ORIENTATION, 1) != 1
            is_ambiguous = (
                is_turned or image.has_transparency_data or image.mode not in ("1", "L", "P", "RGB")
            )
            upright = ImageOps.exif_transpose(image) if is_turned else image
            return _convert_to_rgb(upright), str(image.format), is_ambiguous
    except UnreadableImageError:
        raise
    except Exception as error:  # Pillow's decoders raise whatever a broken file leads them to
        raise UnreadableImageError("an image cannot be decoded") from error


def _check_size(image: Image) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise UnreadableImageError(f"an image has more than {MAX_PIXELS >> 20} million pixels")


def _convert_to_rgb(image: Image) -> Image:
    """Convert to RGB: transparent parts become white, 16 bits of grey become 8.

    Pillow alone would show colours that transparency hides, and cut grey of 16 bits off at 255, which is nearly black.
    """
    from PIL import Image

    if image.has_transparency_data:
        seen = image.convert("RGBA")
        ground = Image.new("RGBA", seen.size, "white")
        return Image.alpha_composite(ground, seen).convert("RGB")
    if image.mode.startswith("I;16"):
        return image.convert("I").point(lambda value: value * (1 / 257)).convert("L").convert("RGB")
    if image.mode in ("I", "F"):
        raise UnreadableImageError("an image has pixels of 32 bits, which nothing says how to show")
    return image.convert("RGB")


def measure_image(content: bytes) -> tuple[int, int]:
    """Return the width and height of an image in pixels, without decoding it.

    Raises:
        UnreadableImageError: It is none that can be decoded.
    """
    require_extra("media", "PIL", purpose="Reading images")
    try:
        with _open(content) as image:
            return image.size
    except Exception as error:  # as above
        raise UnreadableImageError("an image cannot be decoded") from error


def _open(content: bytes) -> ImageFile:
    from PIL import Image

    Image.init()
    return Image.open(io.BytesIO(content), formats=[name for name in _FORMATS if name in Image.OPEN])


def _read(uri: str, access: ImageAccess) -> bytes:
    """Read at most one byte more than `MAX_BYTES`."""
    if not uri:
        raise UnreadableImageError("an image has no address")
    match = _SCHEME.match(uri)
    scheme = match[1].lower() if match else ""
    try:
        if scheme in ("", "file"):
            return _read_file(Path(_path_of(uri) if scheme else uri).expanduser(), access)
        if scheme == "data":
            with urllib.request.DataHandler().data_open(urllib.request.Request(uri)) as stream:
                return bytes(stream.read(MAX_BYTES + 1))
        if scheme in ("http", "https"):
            from curate.data.image_fetch import fetch_image

            return fetch_image(uri, access)
    except UnreadableImageError:
        raise
    except (
        Exception
    ) as error:  # of whatever kind: the address, and a server's answer to it, are somebody else's data
        missing = scheme in ("", "file")
        what = "an image's file cannot be read" if missing else "an image cannot be fetched from its address"
        raise UnreadableImageError(what) from error
    raise UnreadableImageError(f"an image is at an address of an unknown kind ({scheme[:20]}:)")


def _path_of(uri: str) -> str:
    parts = urlsplit(uri)
    if parts.netloc not in ("", "localhost"):
        raise OSError(f"no file of this machine: {parts.netloc}")
    return unquote(parts.path)


def _read_file(path: Path, access: ImageAccess) -> bytes:
    """Read a regular file in one of the folders that are allowed."""
    target = (access.folder / path).resolve()
    if not any(target.is_relative_to(folder.resolve()) for folder in (access.folder, *access.folders)):
        raise RefusedImageError("an image's file is outside of the project's folder (see images.folders)")
    # Opening a pipe would wait for a writer, and following a link that was made just now would lead elsewhere.
    descriptor = os.open(target, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError("not a regular file")
        return stream.read(MAX_BYTES + 1)


def part_text(part: Mapping[str, Any]) -> str:
    """A part of a message as exports write it: its text, or a mark where an image or video stands."""
    text = part.get("text")
    return text if isinstance(text, str) else f"[{part.get('type')} {part.get('uri') or ''}]"
