"""The look of charts: colours are CSS variables of the page, so that one SVG serves light, dark and paper."""

from __future__ import annotations

import re
from typing import Any

from curate.report.printable import replace_forbidden

INK, MUTED, RULE = "var(--ink)", "var(--muted)", "var(--rule)"
STRONG, SOFT, WARM = "var(--strong)", "var(--soft)", "var(--warm)"
FONT = "system-ui, sans-serif"

_CONFIG: dict[str, Any] = {
    "background": "transparent",
    "font": FONT,
    "aria": False,  # each figure carries one name and a table instead of a label per mark
    "padding": {
        "left": 8,
        "top": 4,
        "right": 4,
        "bottom": 4,
    },  # the reader's font may be wider than Vega thinks
    "view": {"stroke": None},
    "axis": {
        "labelColor": MUTED,
        "titleColor": MUTED,
        "titleFontWeight": "normal",
        "labelFontSize": 12,
        "titleFontSize": 12,
        "domain": False,
        "ticks": False,
        "labelPadding": 6,
        "labelFlush": False,
        "gridColor": RULE,
        "titlePadding": 10,
    },
    "axisY": {"labelColor": INK, "grid": False},
    "header": {"labelColor": INK, "labelFontSize": 13, "labelFontWeight": 600, "titleColor": MUTED},
    "legend": {
        "labelColor": INK,
        "titleColor": MUTED,
        "labelFontSize": 12,
        "orient": "top",
        "symbolType": "square",
        "columnPadding": 18,
    },
    "title": {
        "color": INK,
        "fontSize": 13,
        "fontWeight": 600,
        "anchor": "start",
        "subtitleColor": MUTED,
        "subtitleFontSize": 12,
    },
    "text": {"color": MUTED, "fontSize": 12},
}
_LONG = re.compile(r"(\d\.\d\d)\d+")  # hundredths of a pixel are enough, and halve the page


def render_svg(chart: Any) -> str:
    """Render an Altair chart as an `<svg>` element for inline use: no script, no address, scaled by its width."""
    import altair
    import vl_convert
    from altair.utils import schemapi

    specification = _clean_specification(chart.to_dict(validate=schemapi.DEBUG_MODE))
    specification["config"] = _CONFIG
    version = altair.SCHEMA_VERSION.removeprefix("v").rsplit(".", 1)[0]
    drawn: str = vl_convert.vegalite_to_svg(specification, vl_version=version)
    return _make_inline(drawn)


def _clean_specification(value: Any) -> Any:
    """Make all text of a chart printable: data, domains, orders and titles may hold names."""
    if isinstance(value, dict):
        return {key: _clean_specification(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_clean_specification(item) for item in value]
    return replace_forbidden(value) if isinstance(value, str) else value


def _make_inline(drawn: str) -> str:
    """Drop the namespaces, which HTML does not need, and make the width an upper bound."""
    opening, rest = drawn.split(">", 1)
    width = re.search(r' width="([\d.]+)"', opening)
    box = re.search(r'viewBox="[^"]*"', opening)
    assert width is not None
    assert box is not None
    return (
        f'<svg {box[0]} style="max-width:{float(width[1]):.0f}px" aria-hidden="true" focusable="false">{rest}'
    )
