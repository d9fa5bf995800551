"""Agreement of annotators in each aspect, of aspects with the verdict as a whole, and of aspects with each other."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from curate.core.resources import read_query
from curate.lake.aspects import WHOLE, collect_aspect_votes, list_aspects
from curate.lake.lake import Lake
from curate.stats.agreement import AgreementEstimate, bootstrap_agreement, krippendorff_alpha
from curate.stats.intervals import wilson_interval

SAME_FROM = 0.95
"""Two aspects say the same from this share of equal verdicts on, if its interval begins above `SURELY`."""

SURELY = 0.9
_PAIR = ["prompt_id", "response_a", "response_b"]


@dataclass(frozen=True, slots=True)
class AlikeShare:
    """The share of pairs on which two have the same winner: `alike` of the `pairs` on which both have one."""

    pairs: int
    alike: int

    @property
    def value(self) -> float:
        """The share."""
        return self.alike / self.pairs if self.pairs else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """Its 95 % interval."""
        return wilson_interval(self.alike, self.pairs)


@dataclass(frozen=True, slots=True)
class AspectFigures:
    """One aspect: pairs with a verdict, share of ties, annotators and their alpha, agreement with the whole."""

    aspect: str
    pairs: int
    ties: float
    annotators: int
    alpha: AgreementEstimate
    as_whole: AlikeShare


@dataclass(frozen=True, slots=True)
class AspectPair:
    """Two aspects and how often they have the same winner."""

    one: str
    other: str
    share: AlikeShare

    @property
    def is_same(self) -> bool:
        """Tell whether the two always say the same, as far as the data tell."""
        return self.share.value >= SAME_FROM and self.share.interval[0] >= SURELY


@dataclass(frozen=True, slots=True)
class AspectReport:
    """All aspects of a lake, and each two of them."""

    aspects: tuple[AspectFigures, ...]
    together: tuple[AspectPair, ...]

    @property
    def same(self) -> list[AspectPair]:
        """The aspects of which one is enough."""
        return [pair for pair in self.together if pair.is_same]


def measure_aspects(lake: Lake) -> AspectReport | None:
    """Measure the aspects that annotators have given verdicts in; None where there are none.

    Args:
        lake: A connection with the views of `curate.lake.panel_view.select_panel`.
    """
    aspects = list_aspects(lake)
    if not aspects:
        return None
    collect_aspect_votes(lake, aspects)
    verdicts = lake.frame(read_query("aspect_verdicts"))
    wide = verdicts.pivot("aspect", index=_PAIR, values="verdict").sort(_PAIR)
    present = [aspect for aspect in aspects if aspect in wide.columns]
    if not present:
        return None
    votes = lake.frame("SELECT * FROM aspect_votes ORDER BY ALL")
    return AspectReport(
        aspects=tuple(_measure_aspect(votes.filter(aspect=aspect), wide, aspect) for aspect in present),
        together=tuple(
            AspectPair(one, other, _compare_columns(wide, one, other))
            for one, other in combinations(present, 2)
        ),
    )


def _measure_aspect(votes: pl.DataFrame, wide: pl.DataFrame, aspect: str) -> AspectFigures:
    verdict = wide[aspect].drop_nulls()
    whole = WHOLE if WHOLE in wide.columns else None
    return AspectFigures(
        aspect=aspect,
        pairs=len(verdict),
        ties=float((verdict == 0).mean() or 0.0),  # type: ignore[arg-type]
        annotators=votes["annotator_id"].n_unique(),
        alpha=bootstrap_agreement(krippendorff_alpha, _count_verdicts(votes)),
        as_whole=AlikeShare(0, 0) if whole is None else _compare_columns(wide, aspect, whole),
    )


def _compare_columns(wide: pl.DataFrame, one: str, other: str) -> AlikeShare:
    both = wide.select(pl.col(one).alias("one"), pl.col(other).alias("other")).filter(
        (pl.col("one") != 0) & (pl.col("other") != 0)
    )
    return AlikeShare(both.height, int((both["one"] == both["other"]).sum()))


def _count_verdicts(votes: pl.DataFrame) -> NDArray[np.int64]:
    """Count b, tie and a of the annotators of each pair, int64[pairs, 3]."""
    counts = votes.group_by(_PAIR, maintain_order=True).agg(
        *[(pl.col("verdict") == verdict).sum().cast(pl.Int64).alias(str(verdict)) for verdict in (-1, 0, 1)]
    )
    return counts.select("-1", "0", "1").to_numpy()
