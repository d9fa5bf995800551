"""The panel: the judges that curate.yaml names, made and checked, with the engines they share."""

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
from curate.judge.base import Judge, JudgeOptions, PromptItem
from curate.judge.presets import apply_preset
from curate.judge.registry import JUDGES
from curate.lake.lake import Lake
from curate.reward.model_folder import is_trained_model


@dataclass(frozen=True)
class ConfiguredJudge:
    """A judge on the panel: under which name, at which revision, with which engines, and what it is to be asked."""

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
        return self.judge.revision(self.code)

    @property
    def in_rounds(self) -> bool:
        """Whether what it is asked next depends on what it has said."""
        return self.pairs in ("swiss", "active")

    def price(self, tokens_in: int, tokens_out: int) -> float | None:
        """What so many tokens cost, at the dearest of its engines; None where one of them states no price."""
        prices = [engine.price(tokens_in, tokens_out) for engine in self.engines]
        known = [price for price in prices if price is not None]
        return max(known, default=0.0) if len(known) == len(prices) else None


class Panel:
    """Judges by name. Making it opens no model, so it is cheap; engines stay open between chunks, until `close`.

    All mistakes in the judges' and engines' options show here. The reward model that `curate train` saved sits on
    the panel under the name `train.judge`, once it is there.
    """

    def __init__(
        self, config: Config, *, only: Collection[str] | None = None, engines: Engines | None = None
    ) -> None:
        """`only`: seat no other judges than these. `engines`: in place of those that curate.yaml declares."""
        self.config = config
        self.contests: Mapping[str, PromptItem] = {}  # what the docket has read ahead
        self.engines = engines or Engines.from_config(config)
        self.engines.check_all()
        declared = [*config.judge.judges, *_list_trained_judge(config)]
        names = [str(judge["name"]) for judge in declared]
        for name in only or ():
            if name not in names:
                raise CurateError(_explain_unknown_judge(name, names))
        kept = [(at, judge) for at, judge in enumerate(declared) if only is None or judge["name"] in only]
        self.seats: Mapping[str, ConfiguredJudge] = {str(judge["name"]): self._seat(at, judge) for at, judge in kept}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def revisions(self, lake: Lake, names: Sequence[str], *, imported: bool = False) -> list[tuple[str, str]]:
        """Name and revision of judges: that of its seat, or its newest one where only some judges are seated now.

        `imported`: also of all whose judgments came with the data, people among them.
        """
        seated = [(name, self.seats[name].revision) for name in names if name in self.seats]
        others = [name for name in names if name not in self.seats]
        newest = lake.rows(read_query("current_panel"), [others]) if others or imported else []
        return seated + [
            (name, revision)
            for name, revision in newest
            if imported or (name in others and revision != "imported")  # not whoever is called like a judge
        ]

    def close(self) -> None:
        """Free the models; a panel that is asked again opens them again."""
        self.engines.close()

    def _seat(self, at: int, options: Mapping[str, Any]) -> ConfiguredJudge:
        where = f"judge.judges[{at}]"
        options = apply_preset(options, where=where)
        found = JUDGES.find(options.get("kind"), where=f"{where}.kind", folder=self.engines.folder)
        checked = validate_options(found.type.Options, options, where=where)
        self._check_order(at, checked, where)
        used: list[Engine] = []
        judge = found.type(checked, self.engines.record_use(used))
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
            code=found.code,
            attempts=checked.attempts,
            engines=tuple(used),
            pairs=pairs,
            max_pairs=limit,
            after=checked.after,
            uncertain=checked.uncertain,
        )

    def _check_order(self, at: int, options: JudgeOptions, where: str) -> None:
        before = [str(judge["name"]) for judge in self.config.judge.judges[:at]]
        for name in options.after:
            if name not in before:
                raise CurateError(
                    f"`{where}.after` names {name!r}, which is no judge before it in the list: "
                    f"{', '.join(before) or 'it is the first'}."
                )


def check_judges(config: Config) -> None:
    """Raise a CurateError if any judge or engine of curate.yaml is not as it should be. Opens no model."""
    Panel(config).close()


def _list_trained_judge(config: Config) -> list[dict[str, Any]]:
    """The reward model of this project, if it is to join the panel and has been trained."""
    train = config.train
    if train is None or train.judge is None:
        return []
    if not is_trained_model(config.resolve(train.path)):
        return []
    if any(judge["name"] == train.judge for judge in config.judge.judges):
        raise CurateError(
            f"`train.judge` is {train.judge!r}, but `judge.judges` has a judge of that name: rename one."
        )
    return [{"name": train.judge, "kind": "reward-model", "model": str(config.resolve(train.path))}]


def _explain_unknown_judge(name: str, names: list[str]) -> str:
    close = difflib.get_close_matches(name, names, n=1)
    known = f"did you mean {close[0]!r}?" if close else f"the panel has {', '.join(names) or 'no judges'}."
    return f"There is no judge called {name!r}: {known}"
