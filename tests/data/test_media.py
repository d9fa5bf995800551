"""Images by address: what can be opened, and what is said of the rest."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.server
import io
import os
import socket
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from curate.config.images import ImageAccess
from curate.config.project import Config
from curate.data import image_fetch
from curate.data import media as images
from curate.data.image_fetch import _is_public
from curate.data.media import RefusedImageError, UnreadableImageError, open_image
from curate.records import Part

LOCAL = frozenset({"127.0.0.1"})


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
        found = open_image(image(uri, digest.upper()), ImageAccess(red.parent, hosts=LOCAL))
        assert (found.mode, found.size, found.getpixel((2, 1))) == ("RGB", (3, 2), (255, 0, 0))


def test_a_photograph_is_turned_the_right_way_up(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90°
    Image.new("RGB", (4, 2)).save(tmp_path / "a.jpg", exif=exif)
    assert open_image(image("a.jpg"), ImageAccess(tmp_path)).size == (2, 4)


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
            open_image(image(uri), ImageAccess(tmp_path, hosts=LOCAL))
    with pytest.raises(UnreadableImageError, match="another sha256"):
        open_image(image(red.name, "0" * 64), ImageAccess(tmp_path))


def test_only_files_of_the_project_are_opened(red: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / "images").mkdir(parents=True)
    (project / "link.png").symlink_to(red)
    (project / "loop.png").symlink_to(project / "loop.png")
    (project / "away").symlink_to(tmp_path)
    within = project / "images" / "in.png"
    within.write_bytes(red.read_bytes())
    access = ImageAccess(project)
    for uri in ("images/in.png", "images/../images/in.png", str(within), within.as_uri()):
        open_image(image(uri), access)
    outside = (
        f"../{red.name}",
        str(red),
        red.as_uri(),
        "link.png",
        f"away/{red.name}",
        "/etc/passwd",
        "~/x.png",
    )
    for uri in outside:
        with pytest.raises(
            RefusedImageError, match=r"outside of the project's folder \(see images\.folders\)"
        ):
            open_image(image(uri), access)
    for uri in (
        "loop.png",
        "images",
        "a\0b.png",
        "x" * 5000,
        "~nobody-of-that-name/x",
        "file://host/images/in.png",
    ):
        with pytest.raises(UnreadableImageError):
            open_image(image(uri), access)
    config = Config.model_validate({"images": {"folders": [".."]}})
    object.__setattr__(config, "_folder", project)
    open_image(image(str(red)), config.image_access())


def test_pipes_and_devices_are_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(UnreadableImageError, match="cannot be read"):
        open_image(image("pipe.png"), ImageAccess(tmp_path))
    for device in ("/dev/zero", "/dev/tty"):
        with pytest.raises(UnreadableImageError):
            open_image(image(device), ImageAccess(tmp_path, (Path("/dev"),)))


def test_a_file_is_read_up_to_its_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MAX_BYTES", 1 << 20)
    with (tmp_path / "huge.png").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(UnreadableImageError, match="more than 1 MiB"):
        open_image(image("huge.png"), ImageAccess(tmp_path))


def test_no_other_program_is_started_to_decode_an_image(tmp_path: Path) -> None:
    (tmp_path / "a.eps").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 2 2\n%%EndComments\nshowpage\n"
    )
    with pytest.raises(UnreadableImageError, match="cannot be decoded"):
        open_image(image("a.eps"), ImageAccess(tmp_path))


def test_reading_a_data_set_opens_no_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets
    import pyarrow.parquet as pq

    from curate.evaluate.benchmark_reader import _read_hub as _hub
    from curate.ingest.hub import stream_rows

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    columns = datasets.Features(
        {"prompt": datasets.Value("string"), "images": datasets.List(datasets.Image())}
    )
    row = {"prompt": "p", "images": [{"bytes": None, "path": "/nowhere/secret.png"}]}
    (tmp_path / "set").mkdir()
    pq.write_table(
        datasets.Dataset.from_list([row], features=columns).data.table, tmp_path / "set" / "train.parquet"
    )
    assert [*stream_rows(str(tmp_path / "set"), None, None, "train", lambda _: None)] == [(1, row)]
    assert [*_hub(str(tmp_path / "set"), "train")] == [row]


# From the web ----------------------------------------------------------------------------------------------

Answer = Callable[[socket.socket], None]


@contextlib.contextmanager
def serving(answer: bytes | Answer) -> Iterator[tuple[str, list[bytes]]]:
    """A server that gives `answer` to whatever is asked; yields its address and the requests that came."""
    requests: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection, contextlib.suppress(OSError):
                    requests.append(connection.recv(65_536))
                    if callable(answer):
                        answer(connection)
                    else:
                        connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", requests
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def png() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (3, 2), "red").save(stream, "PNG")
    return stream.getvalue()


def ok(body: bytes, *headers: bytes) -> bytes:
    return b"\r\n".join([b"HTTP/1.1 200 OK", *headers, b"", body])


def redirect(address: str) -> bytes:
    return f"HTTP/1.1 302 Found\r\nLocation: {address}\r\nContent-Length: 0\r\n\r\n".encode()


def test_nothing_is_fetched_unless_it_is_allowed() -> None:
    with serving(ok(png())) as (address, requests):
        for access in (ImageAccess(), ImageAccess(hosts=frozenset({"example.org"}))):
            with pytest.raises(RefusedImageError, match=r"not fetched \(see images\.http\)"):
                open_image(image(address), access)
        inner = (
            address,
            address.replace("127.0.0.1", "localhost"),
            address.replace("127.0.0.1", "2130706433"),
        )
        for uri in (
            *inner,
            address.replace("127.0.0.1", "[::ffff:127.0.0.1]"),
            "http://169.254.169.254/latest",
        ):
            with pytest.raises(RefusedImageError, match=r"not public \(see images\.hosts\)"):
                open_image(image(uri), ImageAccess(http=True))
        assert requests == []
        for host in ("127.0.0.1", address.removeprefix("http://")):
            assert open_image(image(address), ImageAccess(hosts=frozenset({host}))).size == (3, 2)
        assert len(requests) == 2


def test_proxies_of_the_environment_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(ok(png())) as (address, requests):
        monkeypatch.setenv("http_proxy", address)
        with pytest.raises(RefusedImageError):
            open_image(image("http://127.0.0.1:1/a.png"), ImageAccess(http=True))
        assert requests == []


def test_a_redirect_leads_to_no_inner_service() -> None:
    with serving(ok(png())) as (inner, requests):
        elsewhere = inner.replace("127.0.0.1", "localhost")
        with serving(redirect(elsewhere)) as (outer, _):
            for http in (False, True):
                with pytest.raises(RefusedImageError):
                    open_image(image(outer), ImageAccess(http=http, hosts=LOCAL))
            assert requests == []
            both = ImageAccess(hosts=LOCAL | {"localhost"})
            assert open_image(image(outer), both).size == (3, 2)
    for target in ("file:///etc/passwd", "ftp://127.0.0.1/a", "/again", "", "http://h:abc/", "data:,x"):
        with (
            serving(redirect(target)) as (address, _),
            pytest.raises(UnreadableImageError, match="cannot be fetched"),
        ):
            open_image(image(address), ImageAccess(hosts=LOCAL))


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 404 Not Found\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\n\r\n",
        ok(b"zz\r\nxx", b"Transfer-Encoding: chunked"),
        ok(b"-5\r\nxx", b"Transfer-Encoding: chunked"),
        ok(png()[:20], b"Content-Length: 1000"),
        ok(png(), b"Content-Length: -1")[:40],
        ok(png(), b"X: " + b"a" * 70_000),
        ok(png(), *(b"X: a" for _ in range(200))),
    ],
    ids=lambda answer: repr(answer[:40]),
)
def test_a_broken_answer_is_an_image_that_cannot_be_opened(answer: bytes) -> None:
    with serving(answer) as (address, _), pytest.raises(UnreadableImageError):
        open_image(image(address), ImageAccess(hosts=LOCAL))


@pytest.mark.parametrize(
    "uri",
    [
        "http://127.0.0.1:9/a b.png",
        "http://127.0.0.1:9/a\r\nX: y",
        "http://127.0.0.1:9/bücher.png",
        "http://h:abc/",
        "http://h:99999/",
        "http://[::1",
        "http://[x]/",
        "http://",
        "http:///a.png",
        "https://127.0.0.1:9/",
        "http://" + "a" * 300 + ".example/",
        "http://a..b/",
        "data:image/png",
        "data:;base64,@@@",
        "javascript:alert(1)",
    ],
)
def test_a_bad_address_is_an_image_that_cannot_be_opened(uri: str) -> None:
    with pytest.raises(UnreadableImageError):
        open_image(image(uri), ImageAccess(http=True, hosts=LOCAL))


def test_an_endless_answer_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    def pour(connection: socket.socket) -> None:
        connection.sendall(ok(b""))
        while True:
            connection.sendall(b"\0" * 65_536)

    monkeypatch.setattr(images, "MAX_BYTES", 1 << 20)
    monkeypatch.setattr(image_fetch, "MAX_BYTES", 1 << 20)
    with serving(pour) as (address, _), pytest.raises(UnreadableImageError, match="more than 1 MiB"):
        open_image(image(address), ImageAccess(hosts=LOCAL))


@pytest.mark.parametrize("begun", [b"", ok(b""), ok(b"1", b"Transfer-Encoding: chunked")], ids=repr)
def test_a_server_that_drips_is_left(begun: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()

    def drip(connection: socket.socket) -> None:
        try:
            connection.sendall(begun)
            while True:
                connection.sendall(b"0")
                ended.wait(0.02)
        finally:
            ended.set()

    monkeypatch.setattr(image_fetch, "SECONDS", 0.5)
    with (
        serving(drip) as (address, _),
        pytest.raises(UnreadableImageError, match="cannot be fetched"),
    ):
        open_image(image(address), ImageAccess(hosts=LOCAL))
    assert ended.is_set()


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("127.0.0.1", False),
        ("0.0.0.0", False),
        ("10.0.0.1", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fc00::1", False),
        ("ff0e::1", False),
        ("::ffff:10.0.0.1", False),
        ("2002:7f00:1::", False),
        ("64:ff9b::a00:1", False),
    ],
)
def test_inner_addresses_are_known(address: str, public: bool) -> None:
    assert _is_public(address) == public


def test_hosts_are_names() -> None:
    assert Config.model_validate({"images": {"hosts": ["Localhost:8000"]}}).image_access().hosts == {
        "localhost:8000"
    }
    for host in ("http://a.org", "a.org/images", "", "a b"):
        with pytest.raises(ValueError, match="is no host"):
            Config.model_validate({"images": {"hosts": [host]}})
