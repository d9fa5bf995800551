"""Frames of a video, as images: for judges, exports and pages that show pictures only.

    sample_frames(Part(type="video", uri="clip.mp4"), ImageAccess(Path(".")), FrameSampling(number=8))

A video is decoded once, from its beginning: containers lie about their length and their frame rate, so frames are
chosen among those that were decoded, by their times.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from curate.config.images import ImageAccess
from curate.core.extras import require_extra
from curate.data.embedded_media import EBML, read_video_bytes
from curate.data.media import UnreadableImageError
from curate.records import Part

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_DECODED = 20_000  # frames of one video that are decoded: eleven minutes at 30 a second
_MAX_PIXELS = 36 << 20  # of a frame: 8K
_MAX_DECODED_PIXELS = MAX_DECODED * 1920 * 1080
_EDGE = 768  # pixels of the longer side of a frame; larger frames are made smaller
# Containers by their first bytes: place, bytes, FFmpeg's name.
_CONTAINERS = (
    *((4, name, "mov") for name in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")),
    (0, EBML, "matroska"),
    (8, b"AVI ", "avi"),
    (0, b"OggS", "ogg"),
    (0, b"FLV\x01", "flv"),
    (0, b"GIF8", "gif"),
    (0, b"\0\0\1\xba", "mpeg"),
    (0, b"\x47\x40", "mpegts"),
)


@dataclass(frozen=True, slots=True)
class FrameSampling:
    """Which frames of a video are shown.

    Attributes:
        number: So many, evenly spaced: the first, the last and those between; with `fps`, the most.
        fps: So many a second, from the first one on; None: `number` alone decides.
    """

    number: int = 8
    fps: float | None = None


@dataclass(frozen=True, slots=True)
class SampledFrames:
    """Frames of a video.

    Attributes:
        images: The frames in RGB, in the order of time.
        seconds: When each of them is shown, from the beginning of the video.
        total: Number of frames that the video has.
    """

    images: tuple[Image, ...]
    seconds: tuple[float, ...]
    total: int


def sample_frames(part: Part, access: ImageAccess, sampling: FrameSampling) -> SampledFrames:
    """Decode a video and take some of its frames.

    Args:
        part: The video, by address.
        access: Says which addresses are opened.
        sampling: Which frames are taken.

    Raises:
        UnreadableImageError: The video cannot be read or decoded, or has too many frames; RefusedImageError where it
            is not allowed.
    """
    content = read_video_bytes(part, access)
    times = _decode(content, lambda index: False)[1]
    if not times:
        raise UnreadableImageError("a video holds no frames")
    if len(times) > MAX_DECODED:
        raise UnreadableImageError(f"a video has more than {MAX_DECODED:,} frames")
    chosen = choose_frames(times, sampling)
    wanted = set(chosen)
    images, _ = _decode(content, wanted.__contains__)
    return SampledFrames(tuple(images), tuple(times[index] - times[0] for index in chosen), len(times))


def choose_frames(times: Sequence[float], sampling: FrameSampling) -> list[int]:
    """Choose frames by their times in seconds, ascending; indices without repetition."""
    last = len(times) - 1
    if sampling.fps is not None:
        wanted, by_rate = times[0], list[int]()
        for index, time in enumerate(times):
            if time >= wanted - 1e-6:
                by_rate.append(index)
                wanted = max(wanted + 1 / sampling.fps, time)
        if len(by_rate) <= sampling.number:
            return by_rate
        return [by_rate[place] for place in _space_evenly(len(by_rate) - 1, sampling.number)]
    return _space_evenly(last, sampling.number)


def _space_evenly(last: int, number: int) -> list[int]:
    """Return at most `number` whole numbers from 0 to `last`, evenly spaced, ends included."""
    if number == 1:
        return [last // 2]
    return sorted({round(place * last / (number - 1)) for place in range(number)})


def _find_container(content: bytes) -> str:
    """Return FFmpeg's name of a video's container.

    Left to guess, FFmpeg also opens playlists, which name other files and hosts.

    Raises:
        UnreadableImageError: It is none of a video.
    """
    for offset, mark, name in _CONTAINERS:
        if content.startswith(mark, offset):
            return name
    raise UnreadableImageError(
        "a video is in no known container (MP4, MOV, WebM, Matroska, AVI, MPEG, Ogg, FLV, GIF)"
    )


def _check_pixels(of_frame: int, of_all: int) -> None:
    if of_frame > _MAX_PIXELS or of_all > _MAX_DECODED_PIXELS:
        raise UnreadableImageError("a video has too many pixels")


def _decode(content: bytes, is_wanted: Callable[[int], bool]) -> tuple[list[Image], list[float]]:
    """Decode a video; return the wanted frames as images, and the times of all."""
    require_extra("media", "av", "PIL", purpose="Reading videos")
    import av

    images: list[Image] = []
    times: list[float] = []
    try:
        with av.open(io.BytesIO(content), mode="r", format=_find_container(content)) as container:
            pixels = 0
            for index, frame in enumerate(islice(container.decode(video=0), MAX_DECODED + 1)):
                times.append(float(frame.time) if frame.time is not None else float(index))
                pixels += frame.width * frame.height
                _check_pixels(frame.width * frame.height, pixels)
                if is_wanted(index):
                    image = frame.to_image()
                    image.thumbnail((_EDGE, _EDGE))
                    images.append(image.convert("RGB"))
    except UnreadableImageError:
        raise
    except Exception as error:  # FFmpeg's decoders, and a container without a stream of pictures
        raise UnreadableImageError("a video cannot be decoded") from error
    return images, times
