"""The charts of the page. Each takes rows of `facts` and gives inline SVG, or None where there is nothing to draw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from curate.report.drawing import (
    WIDTH,
    build_data,
    build_interval_row,
    compute_height,
    draw_dots,
    draw_names,
    encode_rows,
    find_domain,
    make_percent_axis,
    make_unit_scale,
)
from curate.report.facts import (
    ANNOTATORS_SHOWN,
    BIN,
    MIN_BIN_LABELS,
    BenchmarkScore,
    ConfidenceBin,
    CycleCounts,
    ModelWins,
    PairAgreement,
    Panelist,
    ReliabilityBin,
    StageWork,
)
from curate.report.printable import shorten_name
from curate.report.theme import INK, MUTED, RULE, SOFT, STRONG, WARM, render_svg
from curate.stats.accuracy import LENGTH, RANDOM

_FATES = ("kept", "duplicate", "dropped")
_STATUSES = {
    "accepted": STRONG,
    "verified": "var(--good)",
    "flipped": WARM,
    "routed": SOFT,
    "discarded": RULE,
}
_WORK_SHOWN = 20


def draw_flow(work: Sequence[StageWork]) -> str | None:
    """Per stage, which share of the rows was kept, double, or dropped."""
    import altair as alt

    stages = list(dict.fromkeys(each.stage for each in work))
    rows: list[dict[str, Any]] = []
    totals: list[dict[str, Any]] = []
    names: list[str] = []
    for stage in stages:
        parts = [each for each in work if each.stage == stage]
        fates = (
            sum(each.kept for each in parts),
            sum(each.duplicates for each in parts),
            sum(each.dropped for each in parts),
        )
        total = sum(fates)
        if total == 0:
            continue
        rows += [
            {"at": len(names), "fate": fate, "share": number / total, "order": order}
            for order, (fate, number) in enumerate(zip(_FATES, fates, strict=True))
        ]
        totals.append({"at": len(names), "text": f"{fates[0]:,} of {total:,}"})
        names.append(stage)
    if not rows:
        return None
    y = encode_rows(len(names))
    bars = (
        alt.Chart(build_data(rows))
        .mark_bar(height=14)
        .encode(
            x=alt.X(
                "share:Q",
                title="share of the rows that came in",
                axis=make_percent_axis(),
                scale=make_unit_scale(),
            ),
            y=y,
            color=alt.Color(
                "fate:N", title=None, scale=alt.Scale(domain=list(_FATES), range=[STRONG, SOFT, WARM])
            ),
            order="order:Q",
        )
    )
    labels = (
        alt.Chart(build_data(totals)).mark_text(align="left", dx=8).encode(y=y, x=alt.datum(1), text="text:N")
    )
    return render_svg(
        (bars + labels + draw_names(names)).properties(width=WIDTH - 40, height=compute_height(len(names)))
    )


def draw_panel(panelists: Sequence[Panelist]) -> str | None:
    """Agreement with the labels, and how often the response shown first wins, each with its interval."""
    import altair as alt

    shown = panelists[:ANNOTATORS_SHOWN]
    agreement = [build_interval_row(each.name, each.agreement, each.agreement_interval) for each in shown]
    position = [build_interval_row(each.name, each.first_rate, each.first_interval) for each in shown]
    titles = ("agrees with the final label", "first-shown response wins")
    sides = [
        (rows, title)
        for rows, title in zip((agreement, position), titles, strict=True)
        if any(row["value"] is not None for row in rows)
    ]
    domain = find_domain(agreement + position)
    views = [
        draw_dots(rows, title, domain=domain, labels=place == 0, width=WIDTH // 2 - 14)
        for place, (rows, title) in enumerate(sides)
    ]
    return render_svg(alt.hconcat(*views, spacing=28)) if views else None


def draw_agreement(concord: Sequence[PairAgreement], order: Sequence[str]) -> str | None:
    """The share of common pairs on which two annotators agree, as a heat map in the order of the panel."""
    import altair as alt

    present = {name for each in concord for name in (each.one, each.other)}
    names = [name for name in order if name in present]
    if len(names) < 2:
        return None
    at = {name: place for place, name in enumerate(names)}
    cells = [
        {
            "at": at[y],
            "x": at[x],
            "share": each.share,
            "strength": abs(each.share - 0.5) * 2,
            "above": each.share >= 0.5,
        }
        for each in concord
        for x, y in ((each.one, each.other), (each.other, each.one))
    ]
    size = max(15, min(46, WIDTH // len(names)))
    across = alt.X("x:O", axis=None, scale=alt.Scale(domain=list(range(len(names)))))
    base = alt.Chart(build_data(cells)).encode(x=across, y=encode_rows(len(names)))
    heads = (
        alt.Chart(build_data([{"x": place, "name": shorten_name(name, 22)} for name, place in at.items()]))
        .mark_text(align="left", baseline="middle", color=INK, angle=320 if size >= 30 else 270)
        .encode(x=across, y=alt.value(-8), text="name:N")
    )
    drawn: Any = base.mark_rect(stroke="var(--paper)", strokeWidth=2).encode(
        # Strength is opacity, not a colour of its own: it then reads alike on light and on dark paper.
        fill=alt.Fill("above:N", scale=alt.Scale(domain=[True, False], range=[STRONG, WARM]), legend=None),
        fillOpacity=alt.FillOpacity(
            "strength:Q", scale=alt.Scale(domain=[0, 1], range=[0.04, 0.95]), legend=None
        ),
    )
    if size >= 30:
        drawn = drawn + base.mark_text(fontSize=12 if size >= 38 else 10).encode(
            text=alt.Text("share:Q", format=".0%"),
            color=alt.condition("datum.strength > 0.62", alt.value("var(--paper)"), alt.value(INK)),
        )
    drawn = drawn + heads + draw_names(names)
    return render_svg(drawn.properties(width=size * len(names), height=size * len(names)))


def draw_cycles(rows: Sequence[CycleCounts]) -> str | None:
    """The share of prompts with a contradiction, before and after denoising."""
    import altair as alt

    bars = [
        (f"{each.part.replace('-', ' ')} · {when}", number / each.prompts, when, f"{number:,}")
        for each in rows
        if each.prompts
        for when, number in (("before", each.before), ("after", each.after))
    ]
    if not bars:
        return None
    values = [
        {"at": at, "share": share, "when": when, "text": text}
        for at, (_, share, when, text) in enumerate(bars)
    ]
    x = alt.X("share:Q", title="prompts with a cycle", axis=make_percent_axis(), scale=make_unit_scale())
    base = alt.Chart(build_data(values)).encode(y=encode_rows(len(bars)), x=x)
    colour = alt.Color(
        "when:N", legend=None, scale=alt.Scale(domain=["before", "after"], range=[WARM, STRONG])
    )
    drawn = alt.layer(
        base.mark_bar(height=14).encode(color=colour),
        base.mark_text(align="left", dx=6).encode(text="text:N"),
        draw_names([name for name, *_ in bars]),
    )
    return render_svg(drawn.properties(width=WIDTH - 40, height=compute_height(len(bars))))


def draw_confidence(bins: Sequence[ConfidenceBin]) -> str | None:
    """Draw a histogram of the confidence of the labels, by status."""
    import altair as alt

    if not bins:
        return None
    rows: list[dict[str, Any]] = [
        {"low": each.low, "high": each.low + BIN, "labels": each.labels, "status": each.status}
        for each in bins
    ]
    present = [status for status in _STATUSES if any(each.status == status for each in bins)]
    scale = alt.Scale(domain=present, range=[_STATUSES[status] for status in present])
    start = min([0.5, *(each.low for each in bins)])
    chart = (
        alt.Chart(build_data(rows))
        .mark_bar(binSpacing=1)
        .encode(
            x=alt.X(
                "low:Q",
                bin="binned",
                title="confidence of the label",
                scale=alt.Scale(domain=[start, 1]),
                axis=alt.Axis(format=".0%", grid=False, values=[n / 10 for n in range(11)]),
            ),
            x2="high:Q",
            y=alt.Y("labels:Q", title="labels", axis=alt.Axis(grid=True, format="~s", labelColor=MUTED)),
            color=alt.Color("status:N", title=None, scale=scale),
        )
    )
    return render_svg(chart.properties(width=WIDTH + 60, height=220))


def draw_reliability(bins: Sequence[ReliabilityBin]) -> str | None:
    """Confidence against the share that people confirm, with intervals; not of bins that a few labels make."""
    import altair as alt

    told = [each for each in bins if each.count >= MIN_BIN_LABELS]
    if not told:
        return None
    rows = [
        {"x": each.confidence, "y": each.accuracy, "low": low, "high": high}
        for each in told
        for low, high in (each.interval,)
    ]
    least = min([0.5, *(row["low"] for row in rows)])
    x = alt.X("x:Q", title="confidence", axis=make_percent_axis(), scale=alt.Scale(domain=[0.5, 1]))
    title = "share that people confirm"
    axis = alt.Axis(format=".0%", tickCount=5, grid=True, labelColor=MUTED)
    y = alt.Y("y:Q", title=title, axis=axis, scale=alt.Scale(domain=[least, 1]))
    base = alt.Chart(build_data(rows)).encode(x=x)
    drawn = alt.layer(
        alt.Chart(build_data([{"x": 0.5, "y": 0.5}, {"x": 1, "y": 1}]))
        .mark_line(color=MUTED, strokeDash=[3, 3], strokeWidth=1)
        .encode(x=x, y=y),
        base.mark_rule(color=STRONG, strokeWidth=2, opacity=0.55).encode(
            y=alt.Y("low:Q", title=title), y2="high:Q"
        ),
        base.mark_point(filled=True, size=70, opacity=1, color=STRONG).encode(y=y),
    )
    return render_svg(drawn.properties(width=360, height=260))


def draw_models(rows: Sequence[ModelWins]) -> str | None:
    """Win rates with intervals."""
    if not rows:
        return None
    values = [build_interval_row(each.name, each.win_rate, each.interval) for each in rows]
    return render_svg(draw_dots(values, "share of pairs won (a tie is half)", domain=(0.0, 1.0)))


def draw_time(work: Sequence[StageWork]) -> str | None:
    """Where the time went: the longest parts."""
    import altair as alt

    longest = sorted((each for each in work if each.seconds > 0), key=lambda each: -each.seconds)[
        :_WORK_SHOWN
    ]
    if not longest:
        return None
    unit, per = ("hours", 3600) if longest[0].seconds >= 7200 else ("minutes", 60)
    if longest[0].seconds < 120:
        unit, per = "seconds", 1
    rows = [{"at": at, "time": each.seconds / per} for at, each in enumerate(longest)]
    names = [f"{each.stage} · {each.part}" for each in longest]
    bars = (
        alt.Chart(build_data(rows))
        .mark_bar(height=14, color=STRONG)
        .encode(x=alt.X("time:Q", title=unit, axis=alt.Axis(tickCount=6)), y=encode_rows(len(rows)))
    )
    drawn = bars + draw_names(names, width=36)
    return render_svg(drawn.properties(width=WIDTH - 60, height=compute_height(len(rows))))


def draw_scores(rows: Sequence[BenchmarkScore]) -> str | None:
    """Accuracies with intervals, one block per benchmark; the baselines are hollow."""
    import altair as alt

    shown = [each for each in rows if each.metric == "accuracy"]
    found = dict.fromkeys((each.benchmark, each.subset) for each in shown)
    blocks = sorted(found, key=lambda block: block[1] not in ("", "all"))[:12]  # whole benchmarks first
    rows_of = {
        (benchmark, subset): [
            build_interval_row(each.subject, each.value, _build_interval(each.low, each.high))
            | {"baseline": each.subject in (LENGTH, RANDOM)}
            for each in shown
            if (each.benchmark, each.subset) == (benchmark, subset)
        ]
        for benchmark, subset in blocks
    }
    domain = find_domain([row for block in rows_of.values() for row in block])
    views = [
        draw_dots(block, "accuracy", domain=domain).properties(
            title=shorten_name(benchmark if subset in ("", "all") else f"{benchmark} · {subset}", 70)
        )
        for (benchmark, subset), block in rows_of.items()
    ]
    return render_svg(alt.vconcat(*views, spacing=26)) if views else None


def _build_interval(low: float | None, high: float | None) -> tuple[float, float] | None:
    return None if low is None or high is None else (low, high)
