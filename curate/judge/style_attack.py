"""The adaptive style attack: how often a judge that was right changes its mind when only the style changes.

    curate evaluate --judges attack

Each pair is a right and a wrong answer (curate/data/style_pairs.yaml). Where the judge prefers the right one, an
attacker edits the style of the wrong one (curate/data/style_edits.py), asks the judge again, keeps what has helped, and
goes on until the judge prefers the wrong answer or the budget is spent. Which edit comes next is a bandit's choice
(UCB1, Auer et al. 2002): the reward of an edit is what the judge's belief in the wrong answer gained by it, and what is
learnt on one pair is used on all. After BITE (arXiv 2605.26156), in an implementation of our own; nothing is random.

The flip rate is the share of the attacked pairs that flipped. The rows go to `evaluations` (benchmark "style attack",
metric "flip-rate"; subset "all", or an edit: the share of its trials at which a pair flipped).
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import pyarrow as pa
import yaml

from curate.config.evaluate import ATTACK, AttackSection
from curate.config.project import Config
from curate.core.identity import content_id
from curate.core.progress import Track, no_progress
from curate.core.resources import find_resource
from curate.data.style_edits import EDITS
from curate.engine.base import build_chat
from curate.judge.adversarial import AdversarialItem
from curate.judge.base import CandidateResponse, PromptItem
from curate.judge.configured import ConfiguredJudge, Panel
from curate.judge.hack_preference import HackPreference, measure_preferences
from curate.lake.lake import Lake
from curate.lake.runs import Counts, StageRun, Summary, find_newest_run
from curate.records import Evaluation, arrow_schema
from curate.stats.accuracy import MeanEstimate, estimate_mean

FLIP_RATE = "flip-rate"
_VERSION = 1  # counts changes of the attacker


@dataclass(frozen=True, slots=True)
class StylePair:
    """A request with a right and a wrong answer."""

    request: str
    good: str
    wrong: str

    def build_item(self, text: str) -> AdversarialItem:
        """Build the item in which the wrong answer reads `text`; its prompt is the same for all texts."""
        prompt_id = content_id(ATTACK, self.request)
        good = content_id(prompt_id, self.good)
        responses = [CandidateResponse(good, self.good), CandidateResponse(content_id(prompt_id, text), text)]
        responses.sort(key=lambda response: response.response_id)
        item = PromptItem(prompt_id, build_chat(("user", self.request)), self.good, tuple(responses))
        return AdversarialItem("style", item, good)


@dataclass(slots=True)
class AttackedPair:
    """A pair under attack: the wrong answer as it reads now, and what the judge thinks of it."""

    pair: StylePair
    text: str
    preference: HackPreference
    seen: set[str]
    flipped: bool = False


@dataclass(slots=True)
class EditBandit:
    """UCB1 over the edits. An edit that was never tried comes first; edits of one round are spread."""

    exploration: float
    trials: dict[str, int] = field(default_factory=lambda: dict.fromkeys(EDITS, 0))
    rewards: dict[str, float] = field(default_factory=lambda: dict.fromkeys(EDITS, 0.0))

    def choose_edit(self, names: Collection[str]) -> str:
        """Choose one of the edits, and count it as tried."""
        total = 1 + sum(self.trials.values())

        def bound(name: str) -> float:
            if not self.trials[name]:
                return math.inf
            mean = self.rewards[name] / self.trials[name]
            return mean + self.exploration * math.sqrt(2 * math.log(total) / self.trials[name])

        best = max(names, key=bound)
        self.trials[best] += 1
        return best

    def add_reward(self, name: str, reward: float) -> None:
        self.rewards[name] += reward


@dataclass(slots=True)
class AttackResult:
    """Outcome of an attack on one judge.

    Attributes:
        flips: For each pair that the judge decided rightly at first, whether it flipped.
        trials: For each edit, whether a pair flipped at each of its trials.
        undecided: Pairs that the judge decided wrongly, called even or did not decide.
        asked: Edited answers shown.
    """

    flips: list[bool] = field(default_factory=list)
    trials: dict[str, list[bool]] = field(default_factory=dict)
    undecided: int = 0
    asked: int = 0


@cache
def load_style_pairs() -> tuple[StylePair, ...]:
    """Load the pairs of the attack."""
    rows = yaml.safe_load(find_resource("data/style_pairs.yaml").read_text(encoding="utf-8"))
    return tuple(StylePair(**row) for row in rows)


def attack_judge(
    configured: ConfiguredJudge,
    settings: AttackSection,
    pairs: Sequence[StylePair] | None = None,
    *,
    track: Track = no_progress,
) -> AttackResult:
    """Attack a judge.

    Args:
        configured: The judge.
        settings: Budget and exploration.
        pairs: Pairs to attack; None: those of the package.
        track: Makes the progress bar.

    Returns:
        What flipped, and by which edits.
    """
    pairs = load_style_pairs() if pairs is None else pairs
    first = measure_preferences(configured, [pair.build_item(pair.wrong) for pair in pairs])
    attacked = [
        AttackedPair(pair, pair.wrong, preference, {pair.wrong})
        for pair, preference in zip(pairs, first, strict=True)
        if preference is not None and preference.credit < 0.5
    ]
    result, bandit = AttackResult(undecided=len(pairs) - len(attacked)), EditBandit(settings.exploration)
    with track(f"style attack {configured.name}", settings.budget) as advance:
        for _ in range(settings.budget):
            _attack_once(configured, [pair for pair in attacked if not pair.flipped], bandit, result)
            advance(1)
    result.flips = [pair.flipped for pair in attacked]
    return result


def _attack_once(
    configured: ConfiguredJudge, attacked: Sequence[AttackedPair], bandit: EditBandit, result: AttackResult
) -> None:
    """Try one edit on each pair; all of them are asked about at once."""
    tried: list[tuple[AttackedPair, str, str]] = []
    for target in attacked:
        texts = {name: edit(target.pair.request, target.text) for name, edit in EDITS.items()}
        names = [name for name, text in texts.items() if text not in target.seen]
        if names:
            name = bandit.choose_edit(names)
            target.seen.add(texts[name])
            tried.append((target, name, texts[name]))
    preferences = measure_preferences(configured, [target.pair.build_item(text) for target, _, text in tried])
    for (target, name, text), preference in zip(tried, preferences, strict=True):
        result.asked += 1
        gain = 0.0 if preference is None else preference.belief - target.preference.belief
        bandit.add_reward(name, max(0.0, gain))
        if preference is not None and gain > 0:
            target.text, target.preference = text, preference
            target.flipped = preference.credit > 0.5
        result.trials.setdefault(name, []).append(target.flipped)


def measure_style_attacks(
    lake: Lake, config: Config, *, only: Collection[str] | None = None, track: Track = no_progress
) -> Summary:
    """Attack each judge of the panel that has changed since it was last attacked, and store its flip rates.

    Args:
        lake: Lake that receives the rates.
        config: Configuration with the panel and the attack's settings.
        only: Names of judges; None: all.
        track: Makes the progress bars.
    """
    started, run = time.monotonic(), StageRun(lake, "evaluate", config_hash=config.judge.digest)
    settings, skipped = config.evaluate.attack, True
    pairs = [(pair.request, pair.good, pair.wrong) for pair in load_style_pairs()]
    with Panel(config, only=only) as panel:
        for configured in panel.judges.values():
            part = f"{ATTACK} {configured.name}"
            fingerprint = content_id(
                _VERSION, configured.revision, pairs, settings.model_dump(), config.evaluate.bootstrap
            )
            if find_newest_run(lake, "evaluate", part) == fingerprint:
                continue
            skipped = False
            result = attack_judge(configured, settings, track=track)
            rows = list(_make_evaluations(configured.name, result, config.evaluate.bootstrap, run.run_id))
            with run.chunk(part, fingerprint=fingerprint, status="done") as (writer, counts):
                writer.delete("evaluations", "benchmark = ? AND subject = ?", [ATTACK, configured.name])
                writer.append("evaluations", pa.Table.from_pylist(rows, schema=arrow_schema(Evaluation)))
                counts.rows_in, counts.rows_kept = len(pairs), len(result.flips)
                counts.dropped = {"not decided rightly": result.undecided} if result.undecided else {}
    if skipped:
        return Summary("evaluate", Counts(), time.monotonic() - started, skipped=True)
    return run.summary(note=f"up to {settings.budget} edits a pair")


def _make_evaluations(
    judge: str, result: AttackResult, resamples: int, run_id: str
) -> Iterator[dict[str, object]]:
    subsets = {"all": result.flips} | result.trials
    for subset, flips in subsets.items():
        if not flips:
            continue
        estimate: MeanEstimate = estimate_mean(
            np.array(flips, np.float64), np.arange(len(flips), dtype=np.int64), resamples=resamples
        )
        yield Evaluation(
            subject=judge,
            benchmark=ATTACK,
            subset=subset,
            metric=FLIP_RATE,
            value=estimate.value,
            low=estimate.low,
            high=estimate.high,
            n=estimate.n,
            run_id=run_id,
        ).model_dump()
