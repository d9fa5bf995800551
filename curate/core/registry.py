"""Parts that users name in `curate.yaml`: our own, those of other packages, and files of the user's own.

kind: pairwise                        # registered by this package
kind: acme-judge                      # registered by another package: entry point group `curate.judge`
kind: my_package.my_module:MyJudge    # importable
kind: ./my_judge.py:MyJudge           # a file beside curate.yaml
format: ./my_shape.yaml               # a part that is only data, where the family has such parts

One `Registry` a family: judge, engine, rule, shape (of ingested rows), annotator_model, routing, export_format,
benchmark_format and runner. A part is a class derived from the family's base class; what can be set is its `Options`.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from importlib.metadata import EntryPoint, entry_points
from importlib.resources import files
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar

from curate.core.errors import CurateError
from curate.core.identity import content_id
from curate.core.yaml_file import parse_yaml

T = TypeVar("T")


def split_choice(choice: str | Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Split what names a part, `name` or `{kind: name, option: value}`, into the name and its options."""
    if isinstance(choice, str):
        return choice, {}
    return choice.get("kind"), {key: value for key, value in choice.items() if key != "kind"}


@dataclass(frozen=True, slots=True)
class Registered(Generic[T]):
    """A class, and what identifies its code: "" for our own, which state a version, else a digest of its source.

    `options`: what the YAML file of a part that is only data says.
    """

    type: type[T]
    code: str
    options: Mapping[str, Any] = field(default_factory=dict)


class Registry(Generic[T]):
    """The classes of one family, by the names that users give them.

    Args:
        family: Name of the family, as in the entry point group `curate.<family>`.
        base: Class that every part is derived from.
        noun: What a part is called in error messages.
        builtin: Name → `module:Class` of our own parts that are imported when they are asked for, or
            `package:file.yaml` of one that is only data.
        data_class: `module:Class` of the part that a YAML file stands for; None where a part needs code.
    """

    def __init__(
        self,
        family: str,
        base: type[T],
        *,
        noun: str | None = None,
        builtin: Mapping[str, str] | None = None,
        data_class: str | None = None,
    ) -> None:
        self.family = family
        self.noun = noun or family.replace("_", " ")
        self._base = base
        self._builtin = dict(builtin or {})
        self._data_class = data_class
        self._types: dict[str, type[T]] = {}

    def register(self, name: str) -> Callable[[type[T]], type[T]]:
        """Return a class decorator that makes the class known as `name`."""

        def add(cls: type[T]) -> type[T]:
            self._types[name] = cls
            return cls

        return add

    @property
    def names(self) -> tuple[str, ...]:
        """The names of our own parts, sorted; nothing is imported for them."""
        return tuple(sorted({*self._types, *self._builtin}))

    @property
    def registered(self) -> Mapping[str, type[T]]:
        """Our own parts by name; imports them all."""
        return {name: self._load_builtin(name) for name in self.names}

    def find(self, name: object, *, where: str, folder: Path) -> Registered[T]:
        """Return the class called `name`.

        Args:
            name: As in curate.yaml; see the module's docstring.
            where: Key of curate.yaml that holds the name.
            folder: Folder of curate.yaml, where relative files start.

        Raises:
            CurateError: There is no such part, or it cannot be loaded.
        """
        if not isinstance(name, str) or not name:
            raise CurateError(f"`{where}` is missing: name a kind of {self.noun}, {self._listing()}.")
        if name in self._types or name in self._builtin:
            return Registered(self._load_builtin(name), "", self._read_builtin(name))
        if name.endswith((".yaml", ".yml")) and self._data_class is not None:
            return self._load_data(name, where, folder)
        if ":" in name:
            return self._load_own(name, where, folder)
        for entry in find_entry_points(self.family):
            if entry.name == name:
                return self._load_own(entry.value, where, folder)
        raise CurateError(
            f"`{where}` is {name!r}, {explain_unknown(name, self.names, self.family, self.noun)}"
        )

    def _listing(self) -> str:
        return list_names(self.names, self.family)

    def _load_builtin(self, name: str) -> type[T]:
        if name not in self._types:
            place = self._builtin[name]
            if place.endswith(".yaml"):
                assert self._data_class is not None
                place = self._data_class
            self._types[name] = _import_class(place)
        return self._types[name]

    def _read_builtin(self, name: str) -> Mapping[str, Any]:
        """Return what the YAML file of a part of ours says that is only data."""
        package, _, file = self._builtin.get(name, "").partition(":")
        if not file.endswith(".yaml"):
            return {}
        options: Mapping[str, Any] = parse_yaml(
            files(package).joinpath(file).read_text(encoding="utf-8"), file
        )
        return options

    def _load_data(self, name: str, where: str, folder: Path) -> Registered[T]:
        assert self._data_class is not None
        path = (folder / name).resolve()
        try:
            text = path.read_text(encoding="utf-8")
            options = parse_yaml(text, str(path))
        except (OSError, UnicodeDecodeError, CurateError) as error:
            reason = str(error).rstrip(".")
            raise CurateError(f"`{where}` is {name!r}, which cannot be read: {reason}.") from error
        if not isinstance(options, dict):
            raise CurateError(f"`{where}` is {name!r}, but this file holds no mapping of options to values.")
        digest = blake2b(text.encode(), digest_size=16).hexdigest()
        return Registered(_import_class(self._data_class), digest, options)

    def _load_own(self, name: str, where: str, folder: Path) -> Registered[T]:
        module_name, _, class_name = name.rpartition(":")
        try:
            module = (
                _import_file(folder, module_name)
                if module_name.endswith(".py")
                else importlib.import_module(module_name)
            )
        except CurateError:
            raise
        except (ImportError, FileNotFoundError, SyntaxError) as error:
            raise CurateError(f"`{where}` is {name!r}, which cannot be loaded: {error}.") from error
        except Exception as error:  # a user's own module may raise anything while it is imported
            problem = f"{type(error).__name__}: {error}"
            raise CurateError(f"`{where}` is {name!r}, which cannot be loaded: {problem}.") from error
        part = getattr(module, class_name, None)
        if not (isinstance(part, type) and issubclass(part, self._base)):
            raise CurateError(
                f"`{where}` is {name!r}, but {module_name} has no class {class_name} that is derived from "
                f"{self._base.__module__}.{self._base.__name__}."
            )
        source = inspect.getsourcefile(part)
        code = blake2b(Path(source).read_bytes(), digest_size=16).hexdigest() if source else content_id(name)
        return Registered(part, code)


def find_entry_points(family: str) -> tuple[EntryPoint, ...]:
    """Return the parts of a family that other packages bring."""
    return tuple(entry_points(group=f"curate.{family}"))


def is_part_name(name: str, known: Collection[str], family: str) -> bool:
    """Tell whether `name` can name a part, without importing it: a known one, a user's own or another package's."""
    return (
        name in known
        or ":" in name
        or name.endswith((".yaml", ".yml"))
        or any(entry.name == name for entry in find_entry_points(family))
    )


def find_name_problem(name: str, known: Collection[str], family: str, noun: str) -> str | None:
    """Say what is wrong with a part's name in a clause without full stop, or return None; nothing is imported."""
    if is_part_name(name, known, family):
        return None
    return explain_unknown(name, known, family, noun).removesuffix(".")


def explain_unknown(name: str, known: Collection[str], family: str, noun: str) -> str:
    """Say that no part is called so, and which there are."""
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean `{close[0]}`?" if close else f"known are {list_names(known, family)}."
    return f"which is no kind of {noun}: {hint}"


def list_names(known: Collection[str], family: str) -> str:
    """List the parts of a family for an error message."""
    names = sorted({*known, *(entry.name for entry in find_entry_points(family))})
    return f"{', '.join(names)}, or `module:Class` or `./file.py:Class` for one of your own"


def _import_class(path: str) -> Any:
    module_name, _, class_name = path.partition(":")
    return getattr(importlib.import_module(module_name), class_name)


def _import_file(folder: Path, name: str) -> ModuleType:
    path = (folder / name).resolve()
    if not path.is_file():
        raise FileNotFoundError(f"there is no {path}")
    module_name = f"curate_part_{content_id(str(path))}"
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
