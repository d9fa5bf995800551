"""A small judge that truly sees: an OpenAI-compatible server that decodes the pictures of a request and names colours.

It knows four colours. An answer is right if it names the colour of the request's picture, or shows a picture of the
colour that the request names. Everything else about the protocol is as real servers have it.
"""

from __future__ import annotations

import base64
import io
import json
import re
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import log
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

COLOURS = {"red": (220, 30, 30), "green": (30, 170, 60), "blue": (40, 60, 220), "yellow": (235, 215, 40)}
_NAMES = re.compile("|".join(COLOURS))
_PICTURE = re.compile(r"\0(\w+)\0")


def paint(file: Path, colour: str, *, size: int = 96, words: str = "") -> Path:
    """Paint a coloured square with a white edge, and words into it."""
    image = Image.new("RGB", (size, size), "white")
    draw = ImageDraw.Draw(image)
    if colour in COLOURS:
        draw.rectangle((size // 5, size // 5, size - size // 5, size - size // 5), fill=COLOURS[colour])
    if words:
        draw.text((4, size - 14), words, fill="black")
    file.parent.mkdir(parents=True, exist_ok=True)
    image.save(file)
    return file


def film(file: Path, colours: Sequence[str], *, frames: int = 4, size: int = 96) -> Path:
    """Film squares of these colours, so many frames of each, at ten frames a second."""
    import av

    file.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(file), "w") as container:
        stream: Any = container.add_stream("libvpx" if file.suffix == ".webm" else "mpeg4", rate=10)
        stream.width = stream.height = size
        stream.pix_fmt = "yuv420p"
        for colour in colours:
            image = Image.new("RGB", (size, size), COLOURS.get(colour, (255, 255, 255)))
            for _ in range(frames):
                container.mux(stream.encode(av.VideoFrame.from_image(image)))
        container.mux(stream.encode())
    return file


def name_colour(uri: str) -> str:
    """Name the colour of a picture that came as a data URI; "nothing" where it has none, or is somewhere else."""
    if not uri.startswith("data:"):
        return "nothing"
    content = base64.b64decode(uri.partition(",")[2])
    with Image.open(io.BytesIO(content)) as image:
        pixel = image.convert("RGB").getpixel((image.width // 2, image.height // 2))
    assert isinstance(pixel, tuple)
    near = {
        name: sum((one - other) ** 2 for one, other in zip(pixel, colour, strict=True))
        for name, colour in COLOURS.items()
    }
    best = min(near, key=near.__getitem__)
    return best if near[best] < 6_000 else "nothing"


class SeeingServer:
    """The server; `bodies` holds the requests that came, in their order."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        lock, outer = threading.Lock(), self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                with lock:
                    outer.bodies.append(body)
                self.reply(answer(body))

            def do_GET(self) -> None:
                self.reply({"data": [{"id": "seeing", "owned_by": "vllm"}]})

            def reply(self, value: dict[str, Any]) -> None:
                content = json.dumps(value).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def __enter__(self) -> SeeingServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


def answer(body: dict[str, Any]) -> dict[str, Any]:
    """Answer a request: letters, Yes or No, a rating, or JSON with scores and a ranking."""
    text = "\n".join(map(_read_content, body["messages"]))
    if "Answer model-1:" in text:
        said = json.dumps(_rank(text))
        return _reply(said, {said: 1.0})
    request, *answers = re.split(r"Answer(?: [AB])?:\n", text)
    right = [_is_right(request, answer) for answer in answers] or [False]
    if len(right) == 2:
        p = 0.5 + 0.4 * (right[0] - right[1])
        likely = {"A": p, "B": 1 - p}
    elif "Yes or No" in text:
        likely = {"Yes": 0.9, "No": 0.1} if right[0] else {"Yes": 0.1, "No": 0.9}
    else:
        likely = {str(rating): 0.8 if rating == (5 if right[0] else 1) else 0.05 for rating in range(1, 6)}
    if body["messages"][-1]["role"] == "assistant":  # it goes on after a word that was begun for it
        likely = {f" {verdict}": share for verdict, share in likely.items()}
    return _reply(max(likely, key=likely.__getitem__), likely)


def _read_content(message: dict[str, Any]) -> str:
    content = message["content"]
    if isinstance(content, str):
        return content
    return "\n".join(
        part["text"] if part["type"] == "text" else f"\0{name_colour(part['image_url']['url'])}\0"
        for part in content
    )


def _is_right(request: str, answer: str) -> bool:
    shown, asked = _PICTURE.findall(answer), _PICTURE.findall(request)
    answer = answer.partition("Which answer is better?")[0]
    if shown:
        wanted = _NAMES.search(_PICTURE.sub("", request))
        return wanted is not None and all(colour == wanted[0] for colour in shown)
    return bool(asked) and asked[0] in _NAMES.findall(answer)


def _rank(text: str) -> dict[str, Any]:
    request, *answers = re.split(r"Answer model-\d+:\n", text)
    scores = {
        f"model-{number}": 5 if _is_right(request, answer) else 1 for number, answer in enumerate(answers, 1)
    }
    return {"thoughts": "-", "scores": scores, "ranking": sorted(scores, key=lambda name: -scores[name])}


def _reply(said: str, likely: dict[str, float]) -> dict[str, Any]:
    listed = [{"token": token, "logprob": log(value)} for token, value in likely.items()]
    logprobs = {"content": [{"token": said, "logprob": log(likely[said]), "top_logprobs": listed}]}
    message = {"role": "assistant", "content": said}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": logprobs}
    return {"choices": [choice], "usage": {"prompt_tokens": 7, "completion_tokens": 1}}
