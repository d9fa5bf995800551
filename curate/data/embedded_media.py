"""Images and videos as `data:` URIs, for servers and pages that cannot open the addresses of rows.

What a URI holds is what was checked: an image that Pillow decodes, or a video by the first bytes of its container. The
type that a row or a `data:` address states is not repeated, since it may be anything.
"""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

from curate.config.images import ImageAccess
from curate.data.media import UnreadableImageError, decode_image, read_medium
from curate.records import Part

if TYPE_CHECKING:
    from PIL.Image import Image

_SENT_AS_THEY_ARE = ("PNG", "JPEG", "WEBP", "GIF")  # what browsers and model servers read
EBML = b"\x1a\x45\xdf\xa3"  # begins WebM and Matroska


def read_image(part: Part, access: ImageAccess) -> tuple[bytes, str]:
    """Read an image as bytes that browsers and model servers decode, and their type.

    Bytes stay as they are where they are PNG, JPEG, WebP or GIF and all show the same of them; others become PNG.

    Raises:
        UnreadableImageError: The image cannot be read or decoded; RefusedImageError where it is not allowed.
    """
    content = read_medium(part, access)
    image, name, is_ambiguous = decode_image(content)
    if name in _SENT_AS_THEY_ARE and not is_ambiguous:
        return content, f"image/{name.lower()}"
    return _encode(image, "PNG"), "image/png"


def read_video(part: Part, access: ImageAccess) -> tuple[bytes, str]:
    """Read a video that browsers play (MP4, WebM) as bytes, and their type.

    Raises:
        UnreadableImageError: It cannot be read, or is of another container; RefusedImageError where it is not allowed.
    """
    content = read_video_bytes(part, access)
    if content[4:8] == b"ftyp":
        return content, "video/mp4"
    if content[:4] == EBML:
        return content, "video/webm"
    raise UnreadableImageError("a video is neither MP4 nor WebM")


def read_video_bytes(part: Part, access: ImageAccess) -> bytes:
    """Read the bytes of a video of any container; errors as `read_medium` raises them, about a video."""
    try:
        return read_medium(part, access)
    except UnreadableImageError as error:
        reason = str(error).replace("an image", "a video")
        raise type(error)(reason) from error


def embed_image(part: Part, access: ImageAccess) -> str:
    """Return an image as a `data:` URI; errors as `read_image` raises them."""
    return make_data_uri(*read_image(part, access))


def make_data_uri(content: bytes, mime_type: str) -> str:
    """Return bytes as a `data:` URI."""
    return f"data:{mime_type};base64,{base64.b64encode(content).decode()}"


def make_thumbnail(image: Image, edge: int) -> str:
    """Return an image, made smaller so that no side is longer than `edge` pixels, as the `data:` URI of a JPEG."""
    small = image.copy()
    small.thumbnail((edge, edge))
    return make_data_uri(_encode(small, "JPEG"), "image/jpeg")


def _encode(image: Image, name: str) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format=name)
    return stream.getvalue()
