"""The two-stage loop of Skywork-Reward-V2 (arXiv 2507.01352, section 3): its state and its turns.

A turn of stage 1: the panel and people give labels, a reward model is trained on them, and people are asked about the
neighbours of the pairs that the model gets wrong (`routing.errors`). Stage 2 decides about all other pairs without
people (`consistency`).

The state of the loop is read from the lake. A turn is a chunk of `runs` that was committed together with its questions,
and it is over when these are answered. So the loop may be killed, or wait for weeks; called again, it continues.
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
"""The judge name of the reward model that is trained on people's verdicts alone; it is not on the panel."""


@dataclass(frozen=True, slots=True)
class LoopTurn:
    """A turn of stage 1.

    `gold`: pairs with a verdict of people at its start; `agrees`: those on which the best model agreed; `calls`:
    neighbours that the others call for; `strategies`: strategy → number of questions.
    """

    number: int
    gold: int
    agrees: int
    calls: int
    strategies: dict[str, int]


@dataclass(frozen=True, slots=True)
class LoopState:
    """State of the loop: its turns, the number of waiting questions, and the counts of stage 2 (None before it)."""

    turns: tuple[LoopTurn, ...]
    waiting: int
    rules: dict[str, int] | None

    def __str__(self) -> str:
        if self.waiting:
            return (
                f"turn {len(self.turns)}: {self.waiting:,} questions wait for people; run it again when they are "
                "answered"
            )
        return "stage 2 is done" if self.rules is not None else f"{len(self.turns)} turns are done"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A trained model that has judged `pairs` pairs.

    `gold`: those that people have judged too; `agrees`: those on which it agrees with them; `calls`: neighbours that
    the others call for; `snapshot`: the lake's snapshot before it judged.
    """

    revision: str
    pairs: int
    gold: int
    agrees: int
    calls: int
    snapshot: int


def read_loop_state(lake: Lake, config: Config) -> LoopState:
    """Read the state of the loop."""
    turns: list[LoopTurn] = []
    rules: dict[str, int] | None = None
    for part, details, _ in lake.rows(read_query("verify_loop")):
        kept: dict[str, Any] = json.loads(details)
        if part == "loop stage 2":
            rules = kept["rules"]
        else:
            figures = {name: kept[name] for name in ("gold", "agrees", "calls", "strategies")}
            turns.append(LoopTurn(number=len(turns) + 1, **figures))
    waiting = int(lake.value(f"SELECT count(*) FROM ({read_query('verify_waiting')})"))
    begun = int(lake.value(read_query("verify_begun"), [config.verify.overlap]))
    return LoopState(tuple(turns), waiting + begun, rules)


def plan_turn(lake: Lake, config: Config, turn: int) -> Summary:
    """Plan the questions of a turn: the errors of the best model call for their neighbours.

    Args:
        lake: The project's lake, open for writing.
        config: The project; `verify.loop` sets the budget and the mix of strategies.
        turn: Number of the turn, from 1.

    Raises:
        CurateError: No model is trained to judge, or it has judged nothing.
    """
    loop, best = config.verify.loop, find_best_checkpoint(lake, require_training(config))
    settings = config.verify.model_copy(
        update={
            "plan": config.verify.plan.model_copy(update={"mix": loop.mix}),
            "form": "pairwise",
            "aspect": None,
        }
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
    """List the trained models that have judged all pairs, the oldest first.

    Each judges a prompt with the head that has not seen it, so their agreement with people is out of sample.
    """
    models = [Checkpoint(*row) for row in lake.rows(read_query("verify_checkpoints"), [section.judge])]
    if not models:
        raise CurateError(f"The reward model {section.judge!r} has judged nothing: run `curate judge` first.")
    most = max(model.pairs for model in models)
    return sorted(
        (model for model in models if model.pairs == most),
        key=lambda model: (model.snapshot, model.revision),
    )


def find_best_checkpoint(lake: Lake, section: TrainSection) -> Checkpoint:
    """Return the model that agrees with people most; of equals the newest, which has learnt from more verdicts."""
    return max(reversed(list_checkpoints(lake, section)), key=lambda model: model.agrees)


def require_training(config: Config) -> TrainSection:
    """Return the section `train`; raise CurateError if it trains no model that judges."""
    if config.train is None or config.train.judge is None:
        raise CurateError(
            "The loop trains a reward model that judges: curate.yaml needs `train` with a `judge`."
        )
    return config.train


def build_gold_config(config: Config) -> Config:
    """Return the settings of the gold model, which learns from people's verdicts alone: its own folder and name."""
    section = require_training(config)
    update = {
        "path": str(Path(section.path).with_name(Path(section.path).name + "-gold")),
        "judge": GOLD_MODEL,
    }
    return config.model_copy(update={"train": section.model_copy(update=update)})
