"""Requests with pictures that tests put to vLLM, in its process and over HTTP: it imports nothing that vLLM's
environment lacks.
"""

from __future__ import annotations

from curate.engine.base import Choose
from curate.records import Message, Part, text_parts

SHOWN: list[tuple[str, ...]] = [
    (),
    ("red.png",),
    ("red.png", "blue.png"),
    ("blue.png", "red.png"),
    ("red.png", "red.png"),
]


def build_request(files: tuple[str, ...]) -> Choose:
    """Ask for A or B after some pictures."""
    pictures = [Part(type="image", uri=file) for file in files]
    chat = (Message(role="user", content=(*text_parts("Look: "), *pictures, *text_parts("A or B?"))),)
    return Choose(messages=chat, choices=("A", "B"))
