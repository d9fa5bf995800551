"""The HTML page from the facts."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any

from curate.core.resources import find_resource
from curate.report import charts
from curate.report.comparison import compare_subjects
from curate.report.facts import ANNOTATORS_SHOWN, BIN, MIN_BIN_LABELS, MODELS_SHOWN, Facts
from curate.report.printable import cut_text, replace_forbidden

if TYPE_CHECKING:
    import jinja2


def render_page(facts: Facts, *, fingerprint: str) -> str:
    """Render the whole page; every value is escaped except the charts, which Vega has escaped already."""
    from altair.utils import schemapi
    from markupsafe import Markup

    with schemapi.debug_mode(False):  # the charts are known to be Vega-Lite; to check it again takes seconds
        drawn = {
            "flow": charts.draw_flow(facts.work),
            "panel": charts.draw_panel(facts.panel),
            "matrix": charts.draw_agreement(facts.agreements, [panelist.name for panelist in facts.panel]),
            "cycles": charts.draw_cycles(facts.cycles),
            "confidence": charts.draw_confidence(facts.confidence),
            "reliability": charts.draw_reliability(facts.assessment.bins if facts.assessment else []),
            "models": charts.draw_models(facts.models),
            "time": charts.draw_time(facts.work),
            "scores": charts.draw_scores(facts.scores),
        }
    return (
        _load_environment()
        .get_template("page.html.j2")
        .render(
            facts=facts,
            comparison=compare_subjects(facts.scores),
            charts={name: Markup(image) if image else None for name, image in drawn.items()},
            style=Markup(find_resource("report/templates/style.css").read_text(encoding="utf-8")),
            fingerprint=fingerprint,
            bin=BIN,
            annotators_shown=ANNOTATORS_SHOWN,
            min_bin_labels=MIN_BIN_LABELS,
            models_shown=MODELS_SHOWN,
        )
    )


@cache
def _load_environment() -> jinja2.Environment:
    """Load the templates; they are compiled once."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("curate.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_clean_value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        number=_format_number,
        share=_format_share,
        decimal=_format_decimal,
        duration=_format_duration,
        count=_format_count,
        signed=_format_with_sign,
        excerpt=cut_text,
        weight=_format_weight,
        known=_format_if_known,
    )
    return environment


def _clean_value(value: Any) -> Any:
    return replace_forbidden(value) if type(value) is str else value  # not Markup, which is a str too


def _format_number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def _format_count(number: int, one: str, many: str | None = None) -> str:
    """Format a number with its noun."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def _format_share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def _format_decimal(value: float | None) -> str:
    return "–" if value is None else f"{value:,.2f}"


def _format_weight(value: float) -> str:
    return f"{value:,.4g}"


def _format_if_known(value: float) -> str:
    """Format a number; NaN means that it was not measured."""
    return "–" if math.isnan(value) else f"{round(value, 2) + 0:.2f}".replace("-", "−")


def _format_with_sign(value: float | None) -> str:
    return "–" if value is None else f"{value:+.2f}".replace("-", "−")


def _format_duration(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 120:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
