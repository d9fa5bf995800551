"""Frames of videos: which are taken, and what is said of a file that is no video."""

from __future__ import annotations

from pathlib import Path

import pytest

from curate.config.images import ImageAccess
from curate.data import video
from curate.data.embedded_media import embed_image, make_thumbnail, read_image, read_video
from curate.data.media import RefusedImageError, UnreadableImageError, open_image
from curate.data.video import FrameSampling, choose_frames, sample_frames
from curate.records import Part
from tests.seeing import film, name_colour, paint

TIMES = [index / 10 for index in range(21)]  # two seconds at ten frames a second


def test_frames_are_chosen_by_number_or_by_rate() -> None:
    assert choose_frames(TIMES, FrameSampling(number=3)) == [0, 10, 20]
    assert choose_frames(TIMES, FrameSampling(number=1)) == [10]
    assert choose_frames(TIMES, FrameSampling(number=100)) == list(range(21))
    assert choose_frames(TIMES, FrameSampling(number=8, fps=1)) == [0, 10, 20]
    assert choose_frames(TIMES, FrameSampling(number=2, fps=5)) == [0, 20]
    assert choose_frames([0.0], FrameSampling(number=8)) == [0]


@pytest.mark.parametrize("name", ["a.mp4", "a.webm"])
def test_frames_show_what_was_filmed(tmp_path: Path, name: str) -> None:
    pytest.importorskip("av")
    film(tmp_path / name, ["red", "green", "blue"], frames=4)
    frames = sample_frames(Part(type="video", uri=name), ImageAccess(tmp_path), FrameSampling(number=3))
    assert frames.total == 12
    assert [name_colour(make_thumbnail(image, 64)) for image in frames.images] == ["red", "green", "blue"]
    assert frames.seconds[0] == 0
    assert frames.seconds[-1] == pytest.approx(1.1, abs=0.01)
    assert read_video(Part(type="video", uri=name), ImageAccess(tmp_path))[1] == f"video/{name[2:]}"


def test_what_is_no_video_or_not_allowed_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("av")
    access = ImageAccess(tmp_path / "in")
    outside = film(tmp_path / "out.mp4", ["red"])
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "text.mp4").write_text("no video")
    film(tmp_path / "in" / "long.mp4", ["red"], frames=9)
    with pytest.raises(RefusedImageError, match="a video's file is outside"):
        sample_frames(Part(type="video", uri=str(outside)), access, FrameSampling())
    with pytest.raises(UnreadableImageError, match="a video is in no known container"):
        sample_frames(Part(type="video", uri="text.mp4"), access, FrameSampling())
    with pytest.raises(UnreadableImageError, match="a video's file cannot be read"):
        sample_frames(Part(type="video", uri="missing.mp4"), access, FrameSampling())
    monkeypatch.setattr(video, "MAX_DECODED", 5)
    with pytest.raises(UnreadableImageError, match="more than 5 frames"):
        sample_frames(Part(type="video", uri="long.mp4"), access, FrameSampling())


def test_images_are_embedded_as_they_are_where_everybody_reads_them(tmp_path: Path) -> None:
    access = ImageAccess(tmp_path)
    file = paint(tmp_path / "a.png", "red")
    content, kind = read_image(Part(type="image", uri="a.png"), access)
    assert (content, kind) == (file.read_bytes(), "image/png")
    with_other_type = Part(type="image", uri="a.png", mime_type="text/html")
    assert embed_image(with_other_type, access).startswith("data:image/png;base64,")
    image = open_image(Part(type="image", uri="a.png"), access)
    image.save(tmp_path / "a.bmp")
    assert read_image(Part(type="image", uri="a.bmp"), access)[1] == "image/png"
    exif = image.getexif()
    exif[0x0112] = 6  # the camera was held upright
    image.save(tmp_path / "turned.jpg", exif=exif)
    turned, kind = read_image(Part(type="image", uri="turned.jpg"), access)
    assert kind == "image/png"
    assert turned[1:4] == b"PNG"
