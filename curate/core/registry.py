"""Kinds that users name in `curate.yaml`: registered classes, and classes of their own.

kind: pairwise                        # registered by a decorator in this package
kind: my_package.my_module:MyJudge    # importable
kind: ./my_judge.py:MyJudge           # a file beside curate.yaml
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from types import ModuleType
from typing import Generic, TypeVar

from curate.core.errors import CurateError
from curate.core.identity import content_id
from curate.core.section import Section

T = TypeVar("T")
SectionT = TypeVar("SectionT", bound=Section)


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """A class and what identifies its code: "" for our own, which state a version, else its file's digest."""

    type: type[T]
    code: str


class Kinds(Generic[T]):
    """The classes of one sort (`what` names it in errors), by the names users give them."""

    def __init__(self, what: str, base: type[T]) -> None:
        self._what = what
        self._base = base
        self._types: dict[str, type[T]] = {}

    def register(self, name: str) -> Callable[[type[T]], type[T]]:
        """Class decorator: make the class known as `kind: name`."""

        def add(cls: type[T]) -> type[T]:
            self._types[name] = cls
            return cls

        return add

    @property
    def registered(self) -> Mapping[str, type[T]]:
        return dict(sorted(self._types.items()))

    def find(self, kind: object, *, where: str, folder: Path) -> Found[T]:
        """The class behind `kind`. `where` is its place in curate.yaml, `folder` that file's folder."""
        if not isinstance(kind, str) or not kind:
            raise CurateError(f"`{where}.kind` is missing: name a kind of {self._what}, {self._known()}.")
        if kind in self._types:
            return Found(self._types[kind], "")
        if ":" not in kind:
            close = difflib.get_close_matches(kind, self._types, n=1)
            hint = f"did you mean `{close[0]}`?" if close else f"known are {self._known()}."
            raise CurateError(f"`{where}.kind` is {kind!r}, which is no kind of {self._what}: {hint}")
        return self._load(kind, where, folder)

    def _known(self) -> str:
        return f"{', '.join(sorted(self._types))}, or `module:Class` for one of your own"

    def _load(self, kind: str, where: str, folder: Path) -> Found[T]:
        module_name, _, class_name = kind.rpartition(":")
        try:
            module = _from_file(folder, module_name) if module_name.endswith(".py") else _import(module_name)
        except (ImportError, FileNotFoundError, SyntaxError) as error:
            raise CurateError(f"`{where}.kind` is {kind!r}, which cannot be loaded: {error}.") from error
        found = getattr(module, class_name, None)
        if not (isinstance(found, type) and issubclass(found, self._base)):
            raise CurateError(
                f"`{where}.kind` is {kind!r}, but {module_name} has no class {class_name} that is derived from "
                f"{self._base.__module__}.{self._base.__name__}."
            )
        source = inspect.getsourcefile(found)
        code = blake2b(Path(source).read_bytes(), digest_size=16).hexdigest() if source else content_id(kind)
        return Found(found, code)


def _import(name: str) -> ModuleType:
    return importlib.import_module(name)


def _from_file(folder: Path, name: str) -> ModuleType:
    path = (folder / name).resolve()
    if not path.is_file():
        raise FileNotFoundError(f"there is no {path}")
    module_name = f"curate_kind_{content_id(str(path))}"
    if module_name in sys.modules:
        return sys.modules[module_name]
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module  # before it runs: dataclasses look their own module up
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[module_name]
        raise
    return module
