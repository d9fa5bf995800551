"""The two-stage loop of Skywork-Reward-V2 (arXiv 2507.01352, section 3): where it stands, and what its turns did.

Stage 1, turn by turn: the panel and people give labels → a reward model is trained on them → the pairs of people's
verdicts that it gets wrong call for their neighbours (`routing.errors`) → people are asked about these. Stage 2 goes
over all other pairs without people (`consistency`).

Where the loop stands is read off the lake: a turn is a chunk of `runs` that was committed together with its questions,
and it is over when these are answered. So it may be killed, or wait for weeks, and goes on when it is called again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate.config.project import Config
from curate.config.train import TrainSection
from curate.core.errors import CurateError
from curate.core.resources import read_query
from curate.lake.lake import Lake
from curate.lake.runs import Summary
from curate.verify.plan import plan_questions

GOLD_MODEL = "gold-model"
"""The name under which the reward model of people's verdicts alone judges. It is not on the panel."""


@dataclass(frozen=True, slots=True)
class LoopTurn:
    """One turn of stage 1. `gold`: pairs with a verdict of people by then; `agrees`: those on which the best model
    agreed; `calls`: neighbours that they called for; `strategies`: why how many questions were asked."""

    number: int
    gold: int
    agrees: int
    calls: int
    strategies: dict[str, int]


@dataclass(frozen=True, slots=True)
class LoopState:
    """`waiting`: questions that wait for people. `rules`: how many pairs each rule of stage 2 met; None before it."""

    turns: tuple[LoopTurn, ...]
    waiting: int
    rules: dict[str, int] | None

    def __str__(self) -> str:
        if self.waiting:
            return f"turn {len(self.turns)}: {self.waiting:,} questions wait for people; then run it again"
        return "stage 2 is done" if self.rules is not None else f"{len(self.turns)} turns are done"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A trained model that has judged: its revision, how many pairs, how many of them people have judged too, and on
    how many it agrees with them; the neighbours that the others call for; the lake's snapshot before it judged."""

    revision: str
    pairs: int
    gold: int
    agrees: int
    calls: int
    snapshot: int


def read_loop_state(lake: Lake, config: Config) -> LoopState:
    """Where the loop stands."""
    turns: list[LoopTurn] = []
    rules: dict[str, int] | None = None
    for part, details, _ in lake.rows(read_query("verify_loop")):
        found: dict[str, Any] = json.loads(details)
        if part == "loop stage 2":
            rules = found["rules"]
        else:
            figures = {name: found[name] for name in ("gold", "agrees", "calls", "strategies")}
            turns.append(LoopTurn(number=len(turns) + 1, **figures))
    waiting = int(lake.value(f"SELECT count(*) FROM ({read_query('verify_waiting')})"))
    begun = int(lake.value(read_query("verify_begun"), [config.verify.overlap]))
    return LoopState(tuple(turns), waiting + begun, rules)


def plan_turn(lake: Lake, config: Config, turn: int) -> Summary:
    """Plan the questions of a turn: what the best model gets wrong calls for its neighbours."""
    loop, best = config.verify.loop, find_best_checkpoint(lake, require_training(config))
    settings = config.verify.model_copy(
        update={"plan": config.verify.plan.model_copy(update={"mix": loop.mix})}
    )
    figures = {"gold": best.gold, "agrees": best.agrees, "calls": best.calls}
    return plan_questions(
        lake,
        config.model_copy(update={"verify": settings}),
        budget=loop.budget,
        part=f"loop turn {turn}",
        details=figures,
    )


def list_checkpoints(lake: Lake, section: TrainSection) -> list[Checkpoint]:
    """The models trained so far that have judged all pairs, the oldest first.

    Each judges a prompt with the head that has not seen it, so their agreement with people is out of sample.
    """
    found = [Checkpoint(*row) for row in lake.rows(read_query("verify_checkpoints"), [section.judge])]
    if not found:
        raise CurateError(f"The reward model {section.judge!r} has judged nothing: run `curate judge` first.")
    most = max(each.pairs for each in found)
    return sorted(
        (each for each in found if each.pairs == most), key=lambda each: (each.snapshot, each.revision)
    )


def find_best_checkpoint(lake: Lake, section: TrainSection) -> Checkpoint:
    """The one that agrees with people most; of equals the newest, which has learnt from more of them."""
    return max(reversed(list_checkpoints(lake, section)), key=lambda each: each.agrees)


def require_training(config: Config) -> TrainSection:
    """The section `train`, which the loop cannot do without."""
    if config.train is None or config.train.judge is None:
        raise CurateError(
            "The loop trains a reward model that judges: curate.yaml needs `train` with a `judge`."
        )
    return config.train


def build_gold_config(config: Config) -> Config:
    """The same settings for the model that learns from people's verdicts alone: a folder and a name of its own."""
    section = require_training(config)
    update = {
        "path": str(Path(section.path).with_name(Path(section.path).name + "-gold")),
        "judge": GOLD_MODEL,
    }
    return config.model_copy(update={"train": section.model_copy(update=update)})
