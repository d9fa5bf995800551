"""Judgments about one aspect: selecting them, and what annotators say of each pair in every aspect and as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from curate.core.human_forms import get_filter_name
from curate.core.resources import read_query
from curate.core.sql_text import quote_text
from curate.lake.lake import Lake

WHOLE = ""
"""Stands for the response as a whole where aspects are named."""


@contextmanager
def select_aspect(lake: Lake, aspect: str) -> Iterator[None]:
    """Make `current_judgments`, and what is made of it, hold the judgments about one aspect until the context ends."""
    lake.rows(f"SET VARIABLE aspect = {quote_text(aspect)}")
    try:
        yield
    finally:
        lake.rows("RESET VARIABLE aspect")


def list_aspects(lake: Lake) -> list[str]:
    """List the aspects of quality that judgments of the lake are about."""
    query = "SELECT DISTINCT aspect FROM judgments WHERE aspect IS NOT NULL ORDER BY aspect"
    return [aspect for (aspect,) in lake.rows(query) if get_filter_name(aspect) is None]


def collect_aspect_votes(lake: Lake, aspects: list[str], *, all_pairs: bool = False) -> None:
    """Make the temporary table `aspect_votes`: what each annotator says of each pair that has a verdict in an aspect.

    Columns: prompt_id, response_a, response_b, aspect (`WHOLE`: as a whole), annotator_id, verdict (1 a, -1 b, 0 tie).

    Args:
        lake: A connection with the views of `curate.lake.panel_view.select_panel`.
        aspects: The aspects.
        all_pairs: Read what is said as a whole of all pairs, also of those without a verdict in an aspect.
    """
    query = read_query("aspect_votes")
    lake.rows(f"CREATE OR REPLACE TEMP TABLE aspect_votes AS {query} LIMIT 0", [WHOLE])
    for aspect in aspects:
        with select_aspect(lake, aspect):
            lake.rows(f"INSERT INTO aspect_votes {query}", [aspect])
    if all_pairs:
        lake.rows(f"INSERT INTO aspect_votes {query}", [WHOLE])
        return
    lake.rows(
        f"INSERT INTO aspect_votes FROM ({query}) SEMI JOIN (SELECT DISTINCT response_a, response_b FROM aspect_votes) "
        "USING (response_a, response_b)",
        [WHOLE],
    )
