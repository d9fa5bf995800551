"""The panel: the judges of curate.yaml, made and checked, with the engines that they share."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import TracebackType
from typing import Any, Self

from curate.config.judge import Pairs
from curate.config.project import Config
from curate.config.validation import validate_options
from curate.core.errors import CurateError
from curate.core.resources import read_query
from curate.engine.base import Engine
from curate.engine.registry import Engines
from curate.judge.base import Judge, JudgeOptions
from curate.judge.presets import apply_preset
from curate.judge.registry import JUDGES
from curate.lake.lake import Lake
from curate.reward.model_folder import is_trained_model

_CHEAP_FACTOR = 16  # times that the chunks of a judge that costs nothing are larger
_BATCH_FACTOR = 256  # of one that asks in batches, each of which may take a day


@dataclass(frozen=True)
class ConfiguredJudge:
    """A judge on the panel: its name, its engines, and the choice of its questions."""

    name: str
    judge: Judge
    code: str
    attempts: int
    engines: tuple[Engine, ...] = ()
    pairs: Pairs = "all"
    max_pairs: int | None = None
    after: tuple[str, ...] = ()
    uncertain: float = 0.2

    @cached_property
    def revision(self) -> str:
        """Id of all that can change the judge's answers."""
        return self.judge.revision(self.code)

    @property
    def asks_in_rounds(self) -> bool:
        """Tell whether the judge's next questions depend on its answers."""
        return self.pairs in ("swiss", "active")

    @property
    def chunk_factor(self) -> int:
        """Return how many times its chunks are larger: those of a judge that costs nothing, or that asks in batches."""
        if any(engine.asks_in_batches for engine in self.engines):
            return _BATCH_FACTOR
        return _CHEAP_FACTOR if self.judge.is_cheap else 1

    def price_as_batch(self, tokens_in: int, tokens_out: int, *, batch: bool) -> float | None:
        """Return the cost of tokens through batch APIs or without; None where an engine has none or states no price."""
        prices = [engine.price_as_batch(tokens_in, tokens_out, batch=batch) for engine in self.engines]
        known = [price for price in prices if price is not None]
        return max(known, default=None) if len(known) == len(prices) else None

    def price(self, tokens_in: int, tokens_out: int) -> float | None:
        """Return the cost of tokens at the dearest engine; None if an engine states no price."""
        prices = [engine.price(tokens_in, tokens_out) for engine in self.engines]
        known = [price for price in prices if price is not None]
        return max(known, default=0.0) if len(known) == len(prices) else None


class Panel:
    """Judges by name.

    Making a panel opens no model, so it is cheap; all mistakes in the options of judges and engines show here. Engines
    stay open between chunks, until `close`. The reward model that `curate train` saved joins the panel under the name
    `train.judge`, once it is there.
    """

    def __init__(
        self, config: Config, *, only: Collection[str] | None = None, engines: Engines | None = None
    ) -> None:
        """Make the judges.

        Args:
            config: Configuration with judges and engines.
            only: Names of the judges; None: all.
            engines: Engines in place of those that curate.yaml declares.
        """
        self.config = config
        self.engines = engines or Engines.from_config(config)
        self.engines.check_all()
        declared = [*config.judge.judges, *_list_trained_judge(config)]
        names = [str(judge["name"]) for judge in declared]
        for name in only or ():
            if name not in names:
                raise CurateError(_explain_unknown_judge(name, names))
        numbered = [
            (number, judge) for number, judge in enumerate(declared) if only is None or judge["name"] in only
        ]
        self.judges: Mapping[str, ConfiguredJudge] = {
            str(judge["name"]): self._configure_judge(number, judge) for number, judge in numbered
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def list_revisions(
        self, lake: Lake, names: Sequence[str], *, imported: bool = False
    ) -> list[tuple[str, str]]:
        """List names and revisions of judges; a judge that is not on this panel has its newest revision.

        Args:
            lake: Lake that knows the newest revisions.
            names: Names of judges.
            imported: Add all annotators whose judgments came with the data, people among them.
        """
        present = [(name, self.judges[name].revision) for name in names if name in self.judges]
        others = [name for name in names if name not in self.judges]
        newest = lake.rows(read_query("current_panel"), [others]) if others or imported else []
        return present + [
            (name, revision)
            for name, revision in newest
            if imported
            or (
                name in others and revision != "imported"
            )  # leave out imported annotators that have the name of a judge
        ]

    def close(self) -> None:
        """Free the models; the next question opens them again."""
        self.engines.close()

    def _configure_judge(self, number: int, options: Mapping[str, Any]) -> ConfiguredJudge:
        where = f"judge.judges[{number}]"
        options = apply_preset(options, where=where)
        registered = JUDGES.find(options.get("kind"), where=f"{where}.kind", folder=self.engines.folder)
        checked = validate_options(registered.type.Options, options, where=where)
        self._check_order(number, checked, where)
        used: list[Engine] = []
        judge = registered.type(checked, self.engines.record_use(used))
        section = self.config.judge
        pairs, limit = checked.pairs or section.pairs, checked.max_pairs
        if checked.pairs is None and limit is None:
            limit = section.max_pairs
        if pairs == "all" and limit is not None:
            raise CurateError(
                f"`{where}.max_pairs` is {limit}, but all pairs are to be compared: add `pairs: round-robin`, swiss or "
                "active."
            )
        return ConfiguredJudge(
            name=checked.name,
            judge=judge,
            code=registered.code,
            attempts=checked.attempts,
            engines=tuple(used),
            pairs=pairs,
            max_pairs=limit,
            after=checked.after,
            uncertain=checked.uncertain,
        )

    def _check_order(self, number: int, options: JudgeOptions, where: str) -> None:
        earlier = [str(judge["name"]) for judge in self.config.judge.judges[:number]]
        for name in options.after:
            if name not in earlier:
                raise CurateError(
                    f"`{where}.after` names {name!r}, which is no judge before it in the list: "
                    f"{', '.join(earlier) or 'it is the first'}."
                )


def check_judges(config: Config) -> None:
    """Raise CurateError if the options of a judge or an engine of curate.yaml are wrong; open no model."""
    Panel(config).close()


def _list_trained_judge(config: Config) -> list[dict[str, Any]]:
    """List the project's reward model, if it joins the panel and has been trained."""
    train = config.train
    if train is None or train.judge is None:
        return []
    if not is_trained_model(config.resolve(train.path)):
        return []
    if any(judge["name"] == train.judge for judge in config.judge.judges):
        raise CurateError(
            f"`train.judge` is {train.judge!r}, but `judge.judges` has a judge of that name: rename one."
        )
    judge = {"name": train.judge, "kind": "reward-model", "model": str(config.resolve(train.path))}
    return [judge if train.order is None else judge | {"order": train.order}]


def _explain_unknown_judge(name: str, names: list[str]) -> str:
    close = difflib.get_close_matches(name, names, n=1)
    known = f"did you mean {close[0]!r}?" if close else f"the panel has {', '.join(names) or 'no judges'}."
    return f"There is no judge called {name!r}: {known}"
