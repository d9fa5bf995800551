"""Parts of several charts: dots with intervals, and axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from curate.report.printable import shorten_name
from curate.report.theme import INK, MUTED, STRONG

WIDTH = 560  # pixels of a whole chart without its names
STEP = 26  # pixels per row of a chart with names
NAME_WIDTH = 28  # columns of text for a name


def encode_rows(count: int) -> Any:
    """Encode the rows of a chart with a row per name by the field `row`, the number of the row.

    Vega builds expressions from the values of a sorted axis, and a name such as `if` breaks them. Rows are therefore
    numbers, and names only the text of a mark.
    """
    import altair as alt

    return alt.Y("row:O", axis=None, scale=alt.Scale(domain=list(range(count))))


def draw_names(names: Sequence[str], *, width: int = NAME_WIDTH) -> Any:
    """Draw names at the left of their rows."""
    import altair as alt

    return (
        alt.Chart(
            build_data([{"row": row, "name": shorten_name(name, width)} for row, name in enumerate(names)])
        )
        .mark_text(align="right", baseline="middle", color=INK)
        .encode(x=alt.value(-8), y=encode_rows(len(names)), text="name:N")
    )


def draw_dots(
    rows: Sequence[dict[str, Any]],
    title: str,
    *,
    domain: tuple[float, float],
    labels: bool = True,
    width: int = WIDTH - 40,
) -> Any:
    """Draw a dot with its interval for each row of `build_interval_row`, against one half; empty rows have no value."""
    import altair as alt

    def encode_x(field: str) -> Any:
        return alt.X(
            f"{field}:Q", title=title, axis=make_percent_axis(), scale=alt.Scale(domain=list(domain))
        )

    places = [{**row, "row": number} for number, row in enumerate(rows) if row["value"] is not None]
    base = alt.Chart(build_data(places)).encode(y=encode_rows(len(rows)))
    layers = [
        alt.Chart(build_data([{"half": 0.5}]))
        .mark_rule(color=MUTED, strokeDash=[3, 3])
        .encode(x=encode_x("half")),
        base.mark_rule(color=STRONG, strokeWidth=2, opacity=0.55).encode(x=encode_x("low"), x2="high:Q"),
        base.mark_point(filled=True, size=70, opacity=1, stroke=STRONG, strokeWidth=2).encode(
            x=encode_x("value"),
            fill=alt.condition("datum.baseline", alt.value("var(--paper)"), alt.value(STRONG)),
        ),
    ]
    if labels:
        layers.append(draw_names([str(row["name"]) for row in rows]))
    return alt.layer(*layers).properties(width=width, height=compute_height(len(rows)))


def find_domain(rows: Sequence[dict[str, Any]]) -> tuple[float, float]:
    """Return the common range of charts that are compared: from a round tenth below all values and one half to 1."""
    values = [
        row[key]
        for row in rows
        for key in ("value", "low")
        if row[key] is not None and row["value"] is not None
    ]
    return max(0.0, math.floor(min([0.5, *values]) * 10 - 0.3) / 10), 1.0


def build_interval_row(
    name: str, value: float | None, interval: tuple[float, float] | None
) -> dict[str, Any]:
    """Build a row of a drawing of values with intervals."""
    low, high = interval if interval is not None else (None, None)
    return {"name": name, "value": value, "low": low, "high": high, "baseline": False}


def build_data(rows: Sequence[dict[str, Any]]) -> Any:
    """Wrap rows as Altair's inline data."""
    import altair as alt

    return alt.Data(values=list(rows))  # type: ignore[no-untyped-call]


def make_percent_axis() -> Any:
    """Make an axis of whole percents."""
    import altair as alt

    return alt.Axis(format=".0%", tickCount=5)


def make_unit_scale() -> Any:
    """Make a scale from 0 to 1."""
    import altair as alt

    return alt.Scale(domain=[0, 1])


def compute_height(rows: int) -> int:
    """Compute the height in pixels of a drawing with so many rows."""
    return STEP * rows
