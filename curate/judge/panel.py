"""The panel: the judges that curate.yaml names, made and checked, with the engines they share."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import TracebackType
from typing import Any, Self

from curate.config import Config, validated
from curate.engine.registry import Engines
from curate.errors import CurateError
from curate.judge.base import Judge
from curate.judge.registry import JUDGES


@dataclass(frozen=True)
class Seat:
    """A judge on the panel: under which name, at which revision, and how often it is asked what it fails at."""

    name: str
    judge: Judge
    code: str
    attempts: int

    @cached_property
    def revision(self) -> str:
        return self.judge.revision(self.code)


class Panel:
    """Judges by name. Making it opens no model, so it is cheap; engines stay open between chunks, until `close`.

    All mistakes in the judges' and engines' options show here. The reward model that `curate train` saved sits on
    the panel under the name `train.judge`, once it is there.
    """

    def __init__(self, config: Config, *, only: Collection[str] | None = None) -> None:
        """`only`: seat no other judges than these."""
        self.config = config
        self.engines = Engines.of(config)
        self.engines.check()
        declared = [*config.judge.judges, *_trained(config)]
        names = [str(judge["name"]) for judge in declared]
        for name in only or ():
            if name not in names:
                raise CurateError(_unknown(name, names))
        kept = [(at, judge) for at, judge in enumerate(declared) if only is None or judge["name"] in only]
        self.seats: Mapping[str, Seat] = {str(judge["name"]): self._seat(at, judge) for at, judge in kept}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free the models; a panel that is asked again opens them again."""
        self.engines.close()

    def _seat(self, at: int, options: Mapping[str, Any]) -> Seat:
        where = f"judge.judges[{at}]"
        found = JUDGES.find(options.get("kind"), where=where, folder=self.engines.folder)
        checked = validated(found.type.Options, options, where=where)
        return Seat(checked.name, found.type(checked, self.engines), found.code, checked.attempts)


def check(config: Config) -> None:
    """Raise a CurateError if any judge or engine of curate.yaml is not as it should be. Opens no model."""
    Panel(config).close()


_MADE = ("head.safetensors", "training.json")  # one of them is in a folder that `curate train` wrote


def _trained(config: Config) -> list[dict[str, Any]]:
    """The reward model of this project, if it is to join the panel and has been trained."""
    train = config.train
    if train is None or train.judge is None:
        return []
    if not any((config.resolve(train.path) / name).is_file() for name in _MADE):
        return []
    if any(judge["name"] == train.judge for judge in config.judge.judges):
        raise CurateError(
            f"`train.judge` is {train.judge!r}, but `judge.judges` has a judge of that name: rename one."
        )
    return [{"name": train.judge, "kind": "reward-model", "model": str(config.resolve(train.path))}]


def _unknown(name: str, names: list[str]) -> str:
    close = difflib.get_close_matches(name, names, n=1)
    known = f"did you mean {close[0]!r}?" if close else f"the panel has {', '.join(names) or 'no judges'}."
    return f"There is no judge called {name!r}: {known}"
