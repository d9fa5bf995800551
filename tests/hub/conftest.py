"""A running stand-in of the hub, and this process as its client."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants
from huggingface_hub.utils import _http

from curate.config.export import ExportEntry
from curate.config.project import Config
from curate.export import write_export
from curate.lake.lake import Lake
from tests.export.conftest import aggregated
from tests.hub.standin import TOKEN, StandInHub


@pytest.fixture
def labelled_lake(sample_lake: Lake) -> Lake:
    """The sample lake, aggregated once: 72 pairs of 12 prompts."""
    aggregated(sample_lake)
    return sample_lake


@pytest.fixture(scope="session")
def exports_made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the export that tests copy: to make a lake takes longer than a push."""
    return tmp_path_factory.mktemp("exports")


@pytest.fixture
def export(request: pytest.FixtureRequest, exports_made: Path, tmp_path: Path) -> Path:
    """The export of the sample lake, as trl-preference."""
    made = exports_made / "preferences"
    if not made.exists():
        lake = request.getfixturevalue("labelled_lake")
        write_export(lake, Config(), ExportEntry(path=str(made)))
    folder = tmp_path / "export"
    shutil.copytree(made, folder)
    return folder


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandInHub]:
    """The stand-in, to which the real client in this process talks, without Xet and without waiting."""
    standin = StandInHub()
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    for name, value in (
        ("ENDPOINT", standin.url),
        ("HUGGINGFACE_CO_URL_TEMPLATE", standin.url + "/{repo_id}/resolve/{revision}/{filename}"),
        ("HF_HUB_OFFLINE", False),
        ("HF_HUB_DISABLE_XET", True),
        ("HF_HUB_CACHE", str(tmp_path / "hf-cache")),
        ("HF_TOKEN_PATH", str(tmp_path / "no-token")),
    ):
        monkeypatch.setattr(constants, name, value)
    monkeypatch.setattr(_http.time, "sleep", lambda seconds: None)
    yield standin
    standin.close()
