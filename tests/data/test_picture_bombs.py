"""Pictures and videos that unpack to gigabytes, show different things to different readers, or name other files."""

from __future__ import annotations

import base64
import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from curate.config.images import ImageAccess
from curate.data import media, video
from curate.data.embedded_media import read_image
from curate.data.media import UnreadableImageError, decode_image
from curate.records import Part

WHITE, RED, BLACK = (255, 255, 255), (255, 0, 0), (0, 0, 0)


def encode(image: Image.Image, name: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, name, **options)
    return stream.getvalue()


def make_bomb(edge: int) -> bytes:
    """Make a PNG of RGBA whose pixels are all 0."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(1 + 4 * edge)) for _ in range(edge)) + packer.flush()
    header = struct.pack(">IIBBBBB", edge, edge, 8, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def test_a_small_file_of_many_pixels_is_not_unpacked(tmp_path: Path) -> None:
    """81 million pixels: below the limit of Pillow, and a gigabyte when they are decoded."""
    file = tmp_path / "bomb.png"
    file.write_bytes(make_bomb(9_000))
    code = (
        "import resource, sys\nfrom curate.data.media import *\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try: decode_image(open(sys.argv[1], 'rb').read())\n"
        "except UnreadableImageError as error: print(error)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000)"
    )
    ran = subprocess.run([sys.executable, "-c", code, str(file)], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines() == ["an image has more than 64 million pixels", "True"], ran


@pytest.mark.parametrize(
    "content",
    [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%!PS-Adobe"],
)
def test_what_is_no_picture_is_said(content: bytes) -> None:
    with pytest.raises(UnreadableImageError, match="cannot be decoded"):
        decode_image(content)


def make_palette() -> Image.Image:
    image = Image.new("P", (2, 1), 0)
    image.putpalette([0, 0, 0, 255, 0, 0])
    image.putpixel((1, 0), 1)
    return image


def make_transparent(mode: str, shown: Any) -> Image.Image:
    image = Image.new(mode, (2, 1), 0)
    image.putpixel((1, 0), shown)
    return image


@pytest.mark.parametrize(
    ("content", "pixels"),
    [
        (encode(make_transparent("RGBA", (255, 0, 0, 255))), [WHITE, RED]),
        (encode(make_transparent("LA", (0, 255))), [WHITE, BLACK]),
        (encode(make_palette(), transparency=0), [WHITE, RED]),
        (encode(make_transparent("RGB", RED), transparency=(0, 0, 0)), [WHITE, RED]),
        (encode(make_transparent("I;16", 65535)), [BLACK, WHITE]),
        (encode(make_transparent("I;16", 32768)), [BLACK, (127, 127, 127)]),
    ],
)
def test_judges_and_people_see_the_same_pixels(content: bytes, pixels: list[Any]) -> None:
    """Colours under transparent parts were shown to judges alone; grey of 16 bits was nearly all white."""
    image, _, is_ambiguous = decode_image(content)
    assert [image.getpixel((place, 0)) for place in (0, 1)] == pixels
    assert is_ambiguous
    part = Part(type="image", uri=f"data:text/html;base64,{base64.b64encode(content).decode()}")
    sent, kind = read_image(part, ImageAccess())
    assert kind == "image/png"
    with Image.open(io.BytesIO(sent)) as opened:
        assert (opened.mode, [opened.getpixel((place, 0)) for place in (0, 1)]) == ("RGB", pixels)


def test_a_plain_picture_is_sent_as_it_is() -> None:
    content = encode(make_palette())
    part = Part(type="image", uri=f"data:image/png;base64,{base64.b64encode(content).decode()}")
    assert read_image(part, ImageAccess()) == (content, "image/png")


def test_pixels_without_a_known_range_are_refused() -> None:
    with pytest.raises(UnreadableImageError, match="32 bits"):
        decode_image(encode(Image.new("F", (1, 1)), "TIFF"))


PLAYLISTS = {
    "concat": "ffconcat version 1.0\nfile secret.mp4\n",
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1.0,\nsecret.mp4\n#EXT-X-ENDLIST\n",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\n",
    "dash": "<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011'/>",
}


def make_video(path: Path, edge: int = 64) -> None:
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = edge
        stream.pix_fmt = "yuv420p"
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame(edge, edge, "yuv420p")))
        container.mux(stream.encode())


@pytest.mark.parametrize("name", PLAYLISTS)
def test_a_video_that_is_a_playlist_opens_no_other_file(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FFmpeg reads such files by itself: the frames would be those of a file that the row has no right to."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    make_video(elsewhere / "secret.mp4")
    monkeypatch.chdir(elsewhere)
    project = tmp_path / "project"
    project.mkdir()
    (project / "clip.mp4").write_text(PLAYLISTS[name])
    with pytest.raises(UnreadableImageError, match="no known container"):
        video.sample_frames(Part(type="video", uri="clip.mp4"), ImageAccess(project), video.FrameSampling())


def test_frames_of_too_many_pixels_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_video(tmp_path / "clip.mp4")
    part = Part(type="video", uri="clip.mp4")
    assert video.sample_frames(part, ImageAccess(tmp_path), video.FrameSampling()).total == 3
    for limit, value in (("_MAX_PIXELS", 64 * 64 - 1), ("_MAX_DECODED_PIXELS", 2 * 64 * 64)):
        with monkeypatch.context() as patch:
            patch.setattr(video, limit, value)
            with pytest.raises(UnreadableImageError, match="too many pixels"):
                video.sample_frames(part, ImageAccess(tmp_path), video.FrameSampling())


def test_limits_are_below_those_of_pillow() -> None:
    assert (Image.MAX_IMAGE_PIXELS or 0) > media.MAX_PIXELS
