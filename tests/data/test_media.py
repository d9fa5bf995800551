"""Images by address: what can be opened, and what is said of the rest."""

from __future__ import annotations

import base64
import hashlib
import http.server
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from curate.data.media import UnreadableImageError, open_image
from curate.records import Part


@pytest.fixture
def red(tmp_path: Path) -> Path:
    file = tmp_path / "a red one.png"
    Image.new("RGBA", (3, 2), "red").save(file)
    return file


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """Serves the folder on this machine."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    handler = partial(Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def image(uri: str, sha256: str | None = None) -> Part:
    return Part(type="image", uri=uri, sha256=sha256)


def test_files_data_and_web_addresses_are_opened_in_rgb(red: Path, site: str) -> None:
    held = red.read_bytes()
    digest = hashlib.sha256(held).hexdigest()
    data = "data:image/png;base64," + base64.b64encode(held).decode()
    for uri in (red.name, str(red), red.as_uri(), data, f"{site}/a%20red%20one.png"):
        found = open_image(image(uri, digest.upper()), red.parent)
        assert (found.mode, found.size, found.getpixel((2, 1))) == ("RGB", (3, 2), (255, 0, 0))


def test_a_photograph_is_turned_the_right_way_up(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90°
    Image.new("RGB", (4, 2)).save(tmp_path / "a.jpg", exif=exif)
    assert open_image(image("a.jpg"), tmp_path).size == (2, 4)


def test_what_cannot_be_opened_is_said(red: Path, site: str, tmp_path: Path) -> None:
    Image.effect_noise((64, 64), 50).save(tmp_path / "cut.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:2000])
    (tmp_path / "text.png").write_text("no image")
    reasons = {
        "": "has no address",
        "nowhere.png": "file cannot be read",
        str(tmp_path): "file cannot be read",
        (tmp_path / "nowhere.png").as_uri(): "file cannot be read",
        f"{site}/nowhere.png": "cannot be fetched",
        "data:image/png;base64,////": "cannot be decoded",
        "text.png": "cannot be decoded",
        "cut.png": "cannot be decoded",
        "ftp://host/a.png": r"of an unknown kind \(ftp:\)",
    }
    for uri, reason in reasons.items():
        with pytest.raises(UnreadableImageError, match=reason):
            open_image(image(uri), tmp_path)
    with pytest.raises(UnreadableImageError, match="another sha256"):
        open_image(image(red.name, "0" * 64), tmp_path)
