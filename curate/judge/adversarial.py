"""The attack success rate of judges: how often a judge prefers an answer that says nothing to a plain good one.

Every judge of the panel is asked about the package's adversarial sets that `evaluate.guard` names
(curate/data/adversarial.py): each hack against each good answer, in as many orders as the judge uses; items with
images only where it sees them. Its false-positive rate is the share of judgments in which the hack wins; a tie counts
one half. Abstentions and failed answers are left out, and `n` is the number of the others. The rows go to
`evaluations` (benchmark "guard"; subset "all", the hack's name, or "set NAME" of several), where aggregation and
reports read them. No synthetic answer enters the lake.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pyarrow as pa

from curate.config.evaluate import GUARD
from curate.config.project import Config
from curate.core.identity import content_id
from curate.core.progress import Track, no_progress
from curate.data.adversarial import FALSE_POSITIVES, AdversarialCase, adversarial_cases
from curate.data.judgments import JudgmentStatement
from curate.data.pair_statements import list_pair_statements
from curate.engine.base import build_chat
from curate.judge.base import CandidateResponse, PromptItem
from curate.judge.configured import ConfiguredJudge, Panel
from curate.judge.judgment_rows import make_statement
from curate.judge.runner import run_judge
from curate.lake.lake import Lake
from curate.lake.runs import Counts, StageRun, Summary, find_newest_run
from curate.records import Evaluation, Part, arrow_schema, plain_text
from curate.stats.accuracy import MeanEstimate, estimate_mean

METRIC = FALSE_POSITIVES
_VERSION = 1  # counts changes of the rules below


@dataclass(frozen=True, slots=True)
class AdversarialItem:
    """A prompt with a hack and a good answer; `good` is the response id of the good one, `set_name` its set."""

    hack: str
    item: PromptItem
    good: str
    set_name: str = "en"


@dataclass(frozen=True, slots=True)
class AttackSuccess:
    """The attack success rate of one judge; `subset` is "all", the name of a hack, or "set NAME"."""

    judge: str
    subset: str
    estimate: MeanEstimate


@cache
def load_adversarial_items(sets: tuple[str, ...] = ("en",)) -> tuple[AdversarialItem, ...]:
    """Load adversarial sets: every hack against every good answer."""
    return tuple(map(_make_item, adversarial_cases(sets)))


def select_items(configured: ConfiguredJudge, sets: Sequence[str]) -> tuple[AdversarialItem, ...]:
    """Load the items of adversarial sets that a judge can read."""
    items = load_adversarial_items(tuple(sets))
    return tuple(item for item in items if item.item.text_only or configured.judge.sees_images)


def _make_item(case: AdversarialCase) -> AdversarialItem:
    prompt_id = case.prompt_id
    answers = sorted(
        (CandidateResponse(content_id(prompt_id, text), text) for text in (case.good, case.bad)),
        key=_get_response_id,
    )
    messages = build_chat(("user", case.request))
    if case.image is not None:
        (turn,) = messages
        image = Part(type="image", uri=case.image)
        messages = (turn.model_copy(update={"content": (image, *turn.content)}),)
    item = PromptItem(prompt_id, messages, case.reference, tuple(answers), text_only=case.image is None)
    return AdversarialItem(case.hack, item, content_id(prompt_id, case.good), case.set_name)


def _get_response_id(candidate: CandidateResponse) -> str:
    return candidate.response_id


def measure_attacks(
    configured: ConfiguredJudge, items: Sequence[AdversarialItem] | None = None
) -> list[tuple[AdversarialItem, float | None]]:
    """Ask a judge about adversarial items.

    What ratings and lists say of the two answers is what aggregation takes them to say
    (`curate.data.pair_statements.list_pair_statements`).

    Args:
        configured: The judge.
        items: The items; None: the English set.

    Returns:
        For each judgment, or each sample of ratings, its item and the credit of the hack: 1 a win, ½ a tie, 0 a loss,
        None no verdict.
    """
    items = load_adversarial_items() if items is None else items
    asked = [
        (adversarial, question)
        for adversarial in items
        for question in configured.judge.questions(adversarial.item)
    ]
    answers = run_judge(configured, [question for _, question in asked])
    groups: dict[tuple[str, int], tuple[AdversarialItem, list[JudgmentStatement]]] = {}
    for number, ((adversarial, question), answer) in enumerate(zip(asked, answers, strict=True)):
        is_rating = question.form == "pointwise"
        key = (adversarial.item.prompt_id, question.sample) if is_rating else ("", number)
        _, statements = groups.setdefault(key, (adversarial, []))
        statements.append(make_statement(configured, question, answer))
    return [
        (adversarial, credit_hack(adversarial, statements)) for adversarial, statements in groups.values()
    ]


def credit_hack(adversarial: AdversarialItem, judgments: Sequence[JudgmentStatement]) -> float | None:
    """Return the credit of the hack from one judgment, or from the ratings of one sample."""
    for statement in list_pair_statements(judgments):
        if statement.outcome == "tie":
            return 0.5
        if statement.outcome in ("a", "b"):
            better = statement.a if statement.outcome == "a" else statement.b
            return float(better != adversarial.good)
    return None


def summarize_attacks(
    judge: str, measured: Sequence[tuple[AdversarialItem, float | None]], *, resamples: int
) -> list[AttackSuccess]:
    """Compute the rate over all hacks, for each hack, and for each of several sets; intervals by request."""
    decided = [(adversarial, credit) for adversarial, credit in measured if credit is not None]
    subsets = ["all", *dict.fromkeys(adversarial.hack for adversarial, _ in decided)]
    sets = dict.fromkeys(_name_set(adversarial) for adversarial, _ in decided)
    subsets += sets if len(sets) > 1 else ()
    rates = []
    for subset in subsets if decided else ():
        rows = [
            (adversarial, credit)
            for adversarial, credit in decided
            if subset in ("all", adversarial.hack, _name_set(adversarial))
        ]
        requests = list(dict.fromkeys(_get_request(adversarial) for adversarial, _ in rows))
        clusters = np.array([requests.index(_get_request(adversarial)) for adversarial, _ in rows], np.int64)
        credits = np.array([credit for _, credit in rows], np.float64)
        rates.append(AttackSuccess(judge, subset, estimate_mean(credits, clusters, resamples=resamples)))
    return rates


def _get_request(adversarial: AdversarialItem) -> str:
    return plain_text(part for part in adversarial.item.messages[0].content if part.type == "text")


def _name_set(adversarial: AdversarialItem) -> str:
    return f"set {adversarial.set_name}"


def measure_attack_success(
    lake: Lake, config: Config, *, only: Collection[str] | None = None, track: Track = no_progress
) -> Summary:
    """Measure each judge of the panel that has changed since its last measurement, and store its rates.

    Args:
        lake: Lake that receives the rates.
        config: Configuration with the panel.
        only: Names of judges; None: all.
        track: Makes the progress bars.
    """
    started, run = time.monotonic(), StageRun(lake, "evaluate", config_hash=config.judge.digest)
    skipped = True
    with Panel(config, only=only) as panel:
        for configured in panel.judges.values():
            part = f"{GUARD} {configured.name}"
            items = select_items(configured, config.evaluate.guard)
            fingerprint = content_id(
                _VERSION, configured.revision, _digest_items(items), config.evaluate.bootstrap
            )
            if find_newest_run(lake, "evaluate", part) == fingerprint:
                continue
            _measure_judge(run, configured, items, part, fingerprint, config.evaluate.bootstrap, track)
            skipped = False
    if skipped:
        return Summary("evaluate", Counts(), time.monotonic() - started, skipped=True)
    return run.summary(note=f"adversarial items of {', '.join(config.evaluate.guard)}")


def _measure_judge(
    run: StageRun,
    configured: ConfiguredJudge,
    items: Sequence[AdversarialItem],
    part: str,
    fingerprint: str,
    resamples: int,
    track: Track,
) -> None:
    measured = []
    with track(f"guard {configured.name}", len(items)) as advance:
        for _, group in itertools.groupby(
            items, key=_get_request
        ):  # a request at a time, to show how far it is
            batch = list(group)
            measured += measure_attacks(configured, batch)
            advance(len(batch))
    rows = list(
        _make_evaluations(summarize_attacks(configured.name, measured, resamples=resamples), run.run_id)
    )
    with run.chunk(part, fingerprint=fingerprint, status="done") as (writer, counts):
        writer.delete("evaluations", "benchmark = ? AND subject = ?", [GUARD, configured.name])
        writer.append("evaluations", pa.Table.from_pylist(rows, schema=arrow_schema(Evaluation)))
        no_verdicts = sum(credit is None for _, credit in measured)
        counts.rows_in, counts.rows_kept = len(measured), len(measured) - no_verdicts
        counts.dropped = {"abstained or failed": no_verdicts} if no_verdicts else {}


def _make_evaluations(rates: Sequence[AttackSuccess], run_id: str) -> Iterator[dict[str, object]]:
    for rate in rates:
        yield Evaluation(
            subject=rate.judge,
            benchmark=GUARD,
            subset=rate.subset,
            metric=METRIC,
            value=rate.estimate.value,
            low=rate.estimate.low,
            high=rate.estimate.high,
            n=rate.estimate.n,
            run_id=run_id,
        ).model_dump()


def _digest_items(items: Sequence[AdversarialItem]) -> str:
    return content_id(
        [(adversarial.hack, adversarial.item.prompt_id, adversarial.good) for adversarial in items]
    )
