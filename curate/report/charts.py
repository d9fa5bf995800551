"""The charts of the page: functions from rows of `facts` to inline SVG, or None if there is nothing to draw."""

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
    """Draw the shares of rows that each stage kept, found to be duplicates, or dropped."""
    import altair as alt

    stages = list(dict.fromkeys(part.stage for part in work))
    rows: list[dict[str, Any]] = []
    totals: list[dict[str, Any]] = []
    names: list[str] = []
    for stage in stages:
        parts = [part for part in work if part.stage == stage]
        fates = (
            sum(part.kept for part in parts),
            sum(part.duplicates for part in parts),
            sum(part.dropped for part in parts),
        )
        total = sum(fates)
        if total == 0:
            continue
        rows += [
            {"row": len(names), "fate": fate, "share": number / total, "order": order}
            for order, (fate, number) in enumerate(zip(_FATES, fates, strict=True))
        ]
        totals.append({"row": len(names), "text": f"{fates[0]:,} of {total:,}"})
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
    """Agreement with the labels, and how often the response shown first wins, panelist with its interval."""
    import altair as alt

    shown = panelists[:ANNOTATORS_SHOWN]
    agreement = [
        build_interval_row(panelist.name, panelist.agreement, panelist.agreement_interval)
        for panelist in shown
    ]
    position = [
        build_interval_row(panelist.name, panelist.first_rate, panelist.first_interval) for panelist in shown
    ]
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


def draw_agreement(agreements: Sequence[PairAgreement], order: Sequence[str]) -> str | None:
    """Draw a heat map of the shares of common pairs on which two annotators agree, in the order of the panel."""
    import altair as alt

    present = {name for agreement in agreements for name in (agreement.one, agreement.other)}
    names = [name for name in order if name in present]
    if len(names) < 2:
        return None
    row_of = {name: row for row, name in enumerate(names)}
    cells = [
        {
            "row": row_of[y],
            "x": row_of[x],
            "share": agreement.share,
            "strength": abs(agreement.share - 0.5) * 2,
            "above": agreement.share >= 0.5,
        }
        for agreement in agreements
        for x, y in ((agreement.one, agreement.other), (agreement.other, agreement.one))
    ]
    size = max(15, min(46, WIDTH // len(names)))
    across = alt.X("x:O", axis=None, scale=alt.Scale(domain=list(range(len(names)))))
    base = alt.Chart(build_data(cells)).encode(x=across, y=encode_rows(len(names)))
    heads = (
        alt.Chart(
            build_data([{"x": place, "name": shorten_name(name, 22)} for name, place in row_of.items()])
        )
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
    """Draw the share of prompts with a cycle, before and after denoising."""
    import altair as alt

    bars = [
        (f"{counts.part.replace('-', ' ')} · {when}", number / counts.prompts, when, f"{number:,}")
        for counts in rows
        if counts.prompts
        for when, number in (("before", counts.before), ("after", counts.after))
    ]
    if not bars:
        return None
    values = [
        {"row": row, "share": share, "when": when, "text": text}
        for row, (_, share, when, text) in enumerate(bars)
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
        {"low": bar.low, "high": bar.low + BIN, "labels": bar.labels, "status": bar.status} for bar in bins
    ]
    present = [status for status in _STATUSES if any(bar.status == status for bar in bins)]
    scale = alt.Scale(domain=present, range=[_STATUSES[status] for status in present])
    start = min([0.5, *(bar.low for bar in bins)])
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
    """Draw confidence against the share of labels that people confirm, with intervals, without bins of few labels."""
    import altair as alt

    bins_shown = [bin for bin in bins if bin.count >= MIN_BIN_LABELS]
    if not bins_shown:
        return None
    rows = [
        {"x": bin.confidence, "y": bin.accuracy, "low": low, "high": high}
        for bin in bins_shown
        for low, high in (bin.interval,)
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
    """Draw win rates of models with intervals."""
    if not rows:
        return None
    values = [build_interval_row(model.name, model.win_rate, model.interval) for model in rows]
    return render_svg(draw_dots(values, "share of pairs won (a tie is half)", domain=(0.0, 1.0)))


def draw_time(work: Sequence[StageWork]) -> str | None:
    """Draw the time of the parts that took longest."""
    import altair as alt

    longest = sorted((part for part in work if part.seconds > 0), key=lambda part: -part.seconds)[
        :_WORK_SHOWN
    ]
    if not longest:
        return None
    unit, per = ("hours", 3600) if longest[0].seconds >= 7200 else ("minutes", 60)
    if longest[0].seconds < 120:
        unit, per = "seconds", 1
    rows = [{"row": row, "time": part.seconds / per} for row, part in enumerate(longest)]
    names = [f"{part.stage} · {part.part}" for part in longest]
    bars = (
        alt.Chart(build_data(rows))
        .mark_bar(height=14, color=STRONG)
        .encode(x=alt.X("time:Q", title=unit, axis=alt.Axis(tickCount=6)), y=encode_rows(len(rows)))
    )
    drawn = bars + draw_names(names, width=36)
    return render_svg(drawn.properties(width=WIDTH - 60, height=compute_height(len(rows))))


def draw_scores(rows: Sequence[BenchmarkScore]) -> str | None:
    """Draw accuracies with intervals, one block per benchmark; the baselines are hollow."""
    import altair as alt

    shown = [score for score in rows if score.metric == "accuracy"]
    blocks_of_scores = dict.fromkeys((score.benchmark, score.subset) for score in shown)
    blocks = sorted(blocks_of_scores, key=lambda block: block[1] not in ("", "all"))[
        :12
    ]  # whole benchmarks first
    rows_of = {
        (benchmark, subset): [
            build_interval_row(score.subject, score.value, _build_interval(score.low, score.high))
            | {"baseline": score.subject in (LENGTH, RANDOM)}
            for score in shown
            if (score.benchmark, score.subset) == (benchmark, subset)
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
