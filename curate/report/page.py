"""From facts to HTML."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any

from curate.core.resources import find_resource
from curate.report import charts
from curate.report.comparison import comparison
from curate.report.facts import ANNOTATORS_SHOWN, BIN, LABELS_TO_TELL, MODELS_SHOWN, Facts
from curate.report.printable import excerpt, printable

if TYPE_CHECKING:
    import jinja2


def render(facts: Facts, *, fingerprint: str) -> str:
    """The whole page. Every value is escaped, but for the charts, which Vega has escaped already."""
    from altair.utils import schemapi
    from markupsafe import Markup

    with schemapi.debug_mode(False):  # the charts are known to be Vega-Lite; to check it again takes seconds
        drawn = {
            "flow": charts.flow(facts.work),
            "panel": charts.panel(facts.panel),
            "matrix": charts.matrix(facts.concord, [each.name for each in facts.panel]),
            "cycles": charts.cycles(facts.cycles),
            "confidence": charts.confidence(facts.confidence),
            "reliability": charts.reliability(facts.assessment.bins if facts.assessment else []),
            "models": charts.models(facts.models),
            "time": charts.time(facts.work),
            "scores": charts.scores(facts.scores),
        }
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            facts=facts,
            comparison=comparison(facts.scores),
            charts={name: Markup(each) if each else None for name, each in drawn.items()},
            style=Markup(find_resource("report/templates/style.css").read_text(encoding="utf-8")),
            fingerprint=fingerprint,
            bin=BIN,
            annotators_shown=ANNOTATORS_SHOWN,
            labels_to_tell=LABELS_TO_TELL,
            models_shown=MODELS_SHOWN,
        )
    )


@cache
def _environment() -> jinja2.Environment:
    """It keeps the compiled templates."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("curate.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        number=_number,
        share=_share,
        decimal=_decimal,
        duration=_duration,
        count=_count,
        signed=_signed,
        excerpt=excerpt,
        weight=_weight,
        known=_known,
    )
    return environment


def _printable(value: Any) -> Any:
    return printable(value) if type(value) is str else value  # not Markup, which is a str too


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def _count(number: int, one: str, many: str | None = None) -> str:
    """A number with its noun."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def _decimal(value: float | None) -> str:
    return "–" if value is None else f"{value:,.2f}"


def _weight(value: float) -> str:
    return f"{value:,.4g}"


def _known(value: float) -> str:
    """A figure that may be NaN: not measured."""
    return "–" if math.isnan(value) else f"{round(value, 2) + 0:.2f}".replace("-", "−")


def _signed(value: float | None) -> str:
    return "–" if value is None else f"{value:+.2f}".replace("-", "−")


def _duration(seconds: float | None) -> str:
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
