"""A running stand-in of the hub, and this process as its client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants
from huggingface_hub.utils import _http

from tests.hub.standin import TOKEN, StandInHub


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandInHub]:
    """The stand-in, to which the real client in this process talks, without Xet and without waiting."""
    standin = StandInHub()
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    for name, value in (
        ("ENDPOINT", standin.url),
        ("HF_HUB_OFFLINE", False),
        ("HF_HUB_DISABLE_XET", True),
        ("HF_HUB_CACHE", str(tmp_path / "hf-cache")),
        ("HF_TOKEN_PATH", str(tmp_path / "no-token")),
    ):
        monkeypatch.setattr(constants, name, value)
    monkeypatch.setattr(_http.time, "sleep", lambda seconds: None)
    yield standin
    standin.close()
