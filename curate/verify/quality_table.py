"""The tables that `curate verify quality` and `curate verify groups` print."""

from __future__ import annotations

import math

from rich.console import Console

from curate.core.terminal import new_console, new_table
from curate.stats.agreement import AgreementEstimate
from curate.stats.groups import Groups
from curate.stats.reliability import PersonQuality, Quality, Share

_FLAGGED_PEOPLE = 50


def print_quality(quality: Quality, console: Console | None = None) -> None:
    """Print the agreement of people, then a line for each person, those with a flag on top."""
    console = console or new_console()
    if not quality.people:
        console.print("People have not answered anything yet.")
        return
    agreement = new_table("agreement of people", "value>", "95 %", "questions>")
    for name, estimate in quality.alpha.items():
        agreement.add_row(f"Krippendorff's alpha, {name}", *_format_estimate(estimate))
    agreement.add_row("Krippendorff's alpha, tie half-way", *_format_estimate(quality.ordered))
    agreement.add_row("Fleiss' kappa", *_format_estimate(quality.fleiss))
    for (first, second), (kappa, n) in quality.cohen.items():
        agreement.add_row(f"Cohen's kappa, {first} and {second}", _format_number(kappa), "", f"{n:,}")
    console.print(agreement)
    people = new_table(
        "annotator", "answers>", "skipped>", "gold", "as others", "as itself", "seconds>", "to look at"
    )
    order = sorted(
        quality.people, key=lambda person: (not person.flags, -person.answers, person.annotator_id)
    )
    for person in order[:_FLAGGED_PEOPLE]:
        people.add_row(*_format_person(person))
    console.print(people)
    if len(order) > _FLAGGED_PEOPLE:
        console.print(f"{len(order):,} people, {_FLAGGED_PEOPLE} shown.")
    if quality.disputed:
        console.print(
            f"{quality.disputed:,} pairs have no verdict of more than half of the people: `curate verify plan` asks "
            "somebody else to decide."
        )


def print_groups(groups: Groups, console: Console | None = None) -> None:
    """Print how many views people hold, who holds which, and the pairs on which the views differ most."""
    console = console or new_console()
    shares = ", ".join(f"{share:.0%}" for share in groups.share)
    many = len(groups.share) > 1
    console.print(
        f"People hold {len(groups.share)} views: {shares} of them."
        if many
        else "People hold one view, as far as their verdicts tell."
    )
    for number, (gain, error) in groups.gain.items():
        console.print(
            f"{number} groups instead of {number - 1} predict an unseen verdict {'better' if gain > 0 else 'worse'} by "
            f"{abs(gain):.4f} in log-likelihood (standard error {error:.4f})."
        )
    if not many:
        return
    members = new_table("annotator", "group>", "sure>")
    for name, (group, sure) in sorted(groups.members.items(), key=lambda item: (item[1][0], item[0])):
        members.add_row(name, str(group + 1), f"{sure:.0%}")
    console.print(members)
    partings = new_table("prompt", "a", "b", *(f"group {g + 1} for a>" for g in range(len(groups.share))))
    for parting in groups.partings:
        ids = (parting.prompt_id[:8], parting.response_a[:8], parting.response_b[:8])
        partings.add_row(*ids, *(f"{p:.0%}" for p in parting.p_a))
    console.print(partings)


def _format_person(person: PersonQuality) -> list[str]:
    return [
        person.annotator_id,
        f"{person.answers:,}",
        f"{person.skipped:,}" if person.skipped else "·",
        _format_share(person.gold),
        _format_share(person.peers),
        _format_share(person.itself),
        _format_number(person.seconds, 1),
        "; ".join(person.flags),
    ]


def _format_share(share: Share) -> str:
    if share.n == 0:
        return "·"
    low, high = share.interval
    return f"{share.right}/{share.n} ({low:.0%} – {high:.0%})"


def _format_estimate(estimate: AgreementEstimate) -> tuple[str, str, str]:
    interval = "" if math.isnan(estimate.low) else f"{estimate.low:.2f} – {estimate.high:.2f}"
    return _format_number(estimate.value), interval, f"{estimate.n:,}"


def _format_number(value: float, digits: int = 2) -> str:
    return "·" if math.isnan(value) else f"{value:.{digits}f}"
