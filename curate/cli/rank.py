"""`curate rank`: the models of the lake, best first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from curate.cli.documents import RankingDocument
from curate.cli.opening import load_config, open_lake
from curate.cli.options import DEFAULT_CONFIG, ConfigPath, SnapshotOption
from curate.core.terminal import escape_json, new_console, new_table, print_data

if TYPE_CHECKING:
    from curate.aggregate.ranking.models import ModelRanking


def show_ranking(
    ties: Annotated[
        Literal["half", "davidson"],
        typer.Option(
            help="Count a tie as half a win for each model, or as an outcome of its own (Davidson 1970)."
        ),
    ] = "half",
    resamples: Annotated[
        int, typer.Option(min=2, help="Number of bootstrap draws for the intervals.")
    ] = 1000,
    level: Annotated[
        float, typer.Option(min=0.5, max=0.999, help="Confidence level of the intervals.")
    ] = 0.95,
    format: Annotated[
        Literal["table", "json", "csv"], typer.Option("--format", "-f", help="Form of the result.")
    ] = "table",
    snapshot: SnapshotOption = None,
    config: ConfigPath = DEFAULT_CONFIG,
) -> RankingDocument:
    """Rank the models whose responses were compared: Elo with intervals, Borda, PageRank and Kemeny."""
    from curate.aggregate.ranking.models import rank_models

    settings = load_config(config)
    with open_lake(settings, read_only=True, snapshot=snapshot) as lake:
        ranking = rank_models(lake, ties=ties, resamples=resamples, level=level)
    if format == "json":
        print_data(escape_json(ranking.models.write_json()))
    elif format == "csv":
        print_data(ranking.models.write_csv(), end="")
    else:
        _print_ranking(ranking, level)
    return RankingDocument(ranking.models.to_dicts(), ranking.pairs, ranking.connected)


def _print_ranking(ranking: ModelRanking, level: float) -> None:
    figures = (
        "place",
        "Elo",
        f"{level:.0%} interval",
        "places",
        "won",
        "lost",
        "tied",
        "Borda",
        "PageRank",
        "Kemeny",
    )
    table = new_table("model", *(f"{figure}>" for figure in figures))
    for row in ranking.models.iter_rows(named=True):
        table.add_row(
            row["model"],
            str(row["place"]),
            f"{row['elo']:.0f}",
            f"{row['low']:.0f} … {row['high']:.0f}",
            f"{row['best_place']} … {row['worst_place']}",
            *(f"{row[column]:,}" for column in ("wins", "losses", "ties")),
            f"{row['borda']:.3f}",
            f"{row['pagerank']:.3f}",
            str(row["kemeny"]),
        )
    console = new_console()
    console.print(table)
    console.print(f"{ranking.pairs:,} pairs of responses of different models, each counted once.")
    if not ranking.connected:
        console.print(
            "Some models were never compared, not even through other models: "
            "their places relative to each other mean nothing.",
            soft_wrap=True,
        )
