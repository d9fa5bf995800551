"""Sentences that say what a report means, for somebody who has not read the table."""

from __future__ import annotations

from collections.abc import Iterator

from curate.data.features import SURFACE
from curate.rubric.feature_report import FeatureEvidence, FeatureReport
from curate.rubric.verification import RubricCheck
from curate.stats.accuracy import MeanEstimate

_TRAPS = {
    "flattery": "praise of the user",
    "repetition": "repeating itself",
    "unfinished": "breaking off",
    "insults": "insults",
    "refusal": "declining to answer",
}
_MUCH = 0.55  # accuracy of length alone from which the report says so


def list_findings(report: FeatureReport) -> list[str]:
    """List what the labels reward, what that is worth, and what to beware of; a warning begins with "Warning"."""
    if not report.accuracy:
        return ["All pairs are ties: nothing says what the labels reward."]
    return [
        *_say_what_is_rewarded(report),
        *_say_accuracy(report),
        *(f"Warning: {sentence}" for sentence in _list_warnings(report)),
    ]


def list_check_findings(check: RubricCheck) -> list[str]:
    """Say what a rubric is worth; a warning begins with "Warning"."""
    kept = sum(criterion.problem is None for criterion in check.criteria)
    longer = check.accuracy["longer"]
    direction = "longer" if longer.value >= 0.5 else "shorter"
    gain = format_estimate(check.gain, signed=True)
    rubric, rest = (format_estimate(check.accuracy[name]) for name in ("rubric", "kept"))
    kept_of = f"{kept} of {len(check.criteria)} criteria are kept"
    over = f"taking the {direction} one"
    sentences = [
        f"The rubric gets {rubric} of the pairs right; {kept_of}, and get {rest}.",
        f"The longer response is right in {format_estimate(longer)}; what is kept gains {gain} over {over}.",
    ]
    if not _is_positive(check.gain):
        sentences.append("Warning: it has not been shown that the criteria say more than length does.")
    failed = sum(criterion.failed for criterion in check.criteria)
    if failed:
        sentences.append(
            f"Warning: {failed:,} verdicts failed; pairs without both verdicts count as not told apart."
        )
    return sentences


def format_estimate(estimate: MeanEstimate, *, signed: bool = False) -> str:
    """Return "64.4 % [62.1, 66.7]"; of a difference, in points with a sign."""
    sign = "+" if signed else ""
    value = f"{100 * estimate.value:{sign}.1f}{' points' if signed else ' %'}"
    if estimate.low is None or estimate.high is None:
        return f"{value} (no interval: too few prompts)"
    return f"{value} [{100 * estimate.low:{sign}.1f}, {100 * estimate.high:{sign}.1f}]"


def _say_what_is_rewarded(report: FeatureReport) -> Iterator[str]:
    selected = report.selected
    if not selected:
        yield (
            f"None of {len(report.evidence)} features says reliably which response is better "
            f"({report.pairs:,} pairs): what these labels reward, if anything, has to be read."
        )
        return
    top = [f"it {row.phrase} ({row.share:.0%} of {row.differ:,} pairs)" for row in selected[:4]]
    yield f"Of two responses the labels reward the one of which this is true: {'; '.join(top)}."


def _say_accuracy(report: FeatureReport) -> Iterator[str]:
    accuracy, gain = report.accuracy, report.gain
    if report.selected:
        number = len(report.selected)
        yield (
            f"{'This criterion gets' if number == 1 else f'These {number} criteria get'} "
            f"{format_estimate(accuracy['criteria'])} of the pairs right "
            f"whose prompts {'it has' if number == 1 else 'they have'} not seen; "
            f"length alone {format_estimate(accuracy['length'])}, "
            f"a difference of {format_estimate(gain['length'], signed=True)}."
        )
    else:
        yield f"Length alone gets {format_estimate(accuracy['length'])} of the pairs right."


def _list_warnings(report: FeatureReport) -> Iterator[str]:
    accuracy, gain = report.accuracy, report.gain
    misled = [name for name in ("tempting", "longer") if _is_below(accuracy[name])]
    if misled:
        kind = "the longer, better formatted response" if misled[0] == "tempting" else "the longer response"
        yield (
            f"surface features mislead here. Who takes {kind} is right in "
            f"{format_estimate(accuracy[misled[0]])} of the pairs, less often than by chance. A judge or reward model "
            "that goes by length and format fails on these labels, and one that learns the opposite from them fails "
            "elsewhere."
        )
    elif report.selected and _is_above(accuracy["surface"]) and not _is_positive(gain["surface"]):
        yield (
            "what the labels reward cannot be told from length and format: these alone get "
            f"{format_estimate(accuracy['surface'])} right, and all other features add "
            f"{format_estimate(gain['surface'], signed=True)}. A reward model can learn to write long in place of well."
        )
    elif accuracy["longer"].value >= _MUCH and _is_above(accuracy["longer"]):
        yield (
            f"the longer response is the better one in {format_estimate(accuracy['longer'])} of the pairs: report the "
            "accuracy of length beside that of every judge and reward model."
        )
    surface = [row for row in report.selected if row.family in SURFACE]
    if surface and len(surface) == len(report.selected):
        yield f"all that was selected is length or format ({', '.join(row.name for row in surface)})."
    yield from (f"the labels reward {_TRAPS[row.name]}." for row in report.selected if _is_trap(row))
    if not report.by_prompt:
        yield (
            f"there are {report.prompts:,} prompts only, so pairs were held out in place of prompts: on other prompts "
            "these figures may be lower."
        )


def _is_trap(row: FeatureEvidence) -> bool:
    return row.name in _TRAPS and (row.weight or 0.0) > 0.0


def _is_below(estimate: MeanEstimate) -> bool:
    return estimate.high is not None and estimate.high < 0.5


def _is_above(estimate: MeanEstimate) -> bool:
    return estimate.low is not None and estimate.low > 0.5


def _is_positive(estimate: MeanEstimate) -> bool:
    return estimate.low is not None and estimate.low > 0.0
