"""Charts take any name, any number of rows, and whatever is missing."""

from __future__ import annotations

import html
import re
import unicodedata

from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from curate.report import charts
from curate.report.facts import (
    BenchmarkScore,
    ConfidenceBin,
    CycleCounts,
    ModelWins,
    PairAgreement,
    Panelist,
    StageWork,
)
from curate.report.printable import replace_forbidden, shorten_name


def panelist(name: str, *, agreed: int = 30, first_won: int = 20, positioned: int = 40) -> Panelist:
    return Panelist(name, "llm", 40, 0, 1.0, 40, 0, 40, agreed, positioned, first_won, 20, 3, 0.5)


@settings(max_examples=12, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@example(["", "if"])
@example(["datum.x", "]" * 20 + "\U0001f600" * 20])
@given(st.lists(st.text(max_size=60), min_size=2, max_size=4, unique=True))
def test_any_name_can_be_drawn(names: list[str]) -> None:
    """Characters that are no XML would abort the process, not only fail."""
    drawn = charts.draw_panel([panelist(name) for name in names])
    matrix = charts.draw_agreement([PairAgreement(names[0], names[1], 10, 7)], names)
    assert (
        charts.draw_scores([BenchmarkScore(names[0], names[1], "accuracy", names[0], 0.3, None, None, 5)])
        is not None
    )
    assert drawn is not None
    assert matrix is not None
    assert drawn.startswith("<svg ")
    assert "<script" not in drawn


def test_names_are_escaped_and_cut() -> None:
    drawn = charts.draw_panel([panelist("<b>&x"), panelist("long " * 40)])
    assert drawn is not None
    texts = [html.unescape(each) for each in re.findall(r"<text[^>]*>([^<]*)</text>", drawn)]
    assert "<b>&x" in texts
    assert any(each.endswith("…") and each.startswith("long long") for each in texts)


def test_nothing_gives_nothing() -> None:
    assert charts.draw_flow([]) is None
    assert charts.draw_flow([StageWork("ingest", "x", 0, 0, 0, 0, 0.0, 0, 0, 0.0)]) is None
    assert charts.draw_panel([]) is None
    assert charts.draw_agreement([], []) is None
    assert charts.draw_cycles([CycleCounts("iteration-0", 0, 0, 0, 0)]) is None
    assert charts.draw_confidence([]) is None
    assert charts.draw_models([]) is None
    assert charts.draw_time([StageWork("ingest", "x", 1, 1, 0, 0, 0.0, 0, 0, 0.0)]) is None
    assert charts.draw_scores([BenchmarkScore("b", "all", "loss", "x", 0.3, None, None, 5)]) is None


def test_missing_intervals_leave_the_dot() -> None:
    drawn = charts.draw_models([ModelWins("m", 1, 3, 0.5, None, 1, 1.0, 1.0, 1)])
    assert drawn is not None
    assert drawn.count('stroke-width="2"') >= 1
    scores = charts.draw_scores([BenchmarkScore("b", "all", "accuracy", "x", 0.3, None, None, 5)])
    assert scores is not None


def test_a_certain_label_is_in_the_last_bin() -> None:
    assert charts.draw_confidence([ConfidenceBin(0.95, "accepted", 3)]) is not None


def test_units_of_time_follow_the_longest() -> None:
    for seconds, unit in ((5.0, "seconds"), (600.0, "minutes"), (40_000.0, "hours")):
        drawn = charts.draw_time([StageWork("judge", "x", 1, 1, 0, 0, seconds, 0, 0, 0.0)])
        assert drawn is not None
        assert f">{unit}</text>" in drawn


def test_the_length_baseline_is_hollow() -> None:
    drawn = charts.draw_scores(
        [
            BenchmarkScore("b", "all", "accuracy", "reward-model", 0.7, 0.6, 0.8, 9),
            BenchmarkScore("b", "all", "accuracy", "length baseline", 0.5, 0.4, 0.6, 9),
        ]
    )
    assert drawn is not None
    assert drawn.count('fill="var(--paper)"') == 1


@given(st.text(), st.integers(1, 40))
def test_a_shortened_name_fits(name: str, width: int) -> None:
    short = shorten_name(name, width)
    columns = sum(2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in short)
    assert columns <= width
    assert "\n" not in short
    assert len(short) <= len(name)
    assert short.removesuffix("…").rstrip() in " ".join(replace_forbidden(name).split())
