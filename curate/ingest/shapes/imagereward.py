"""ImageReward: images that models made of a text, ranked by people (arXiv 2304.05977).

`generations` holds the addresses of the images and `ranking` their ranks: 1 is the best, and equal ones are ties.
"""

from __future__ import annotations

from curate.config.ingest import Fields
from curate.ingest import foreign, mapped
from curate.ingest.foreign import ForeignRow, SourceSettings
from curate.ingest.rejection import RowError
from curate.ingest.rows import Row
from curate.ingest.shapes.base import Shape


class ImageReward(Shape):
    """A text with ranked images."""

    fields = Fields(
        id="id",
        prompt="prompt",
        responses="generations",
        response_text="image",
        response_score="rank",
        best="low",
    )
    columns = (frozenset({"prompt", "generations", "ranking"}),)
    reads = frozenset({"ranking"})
    kind = "human"
    description = "ImageReward, images made of a text and ranked by people (1 is the best, ties are equal)"

    def read_row(self, row: ForeignRow, reading: SourceSettings) -> Row:
        """Read a row."""
        images, ranks = foreign.require_value(row, "generations"), foreign.require_value(row, "ranking")
        if not isinstance(images, list) or not isinstance(ranks, list) or len(images) != len(ranks):
            raise RowError(
                "wrong value",
                "`generations` and `ranking` are no lists of one length, an image for each rank.",
            )
        paired = [
            {"image": _make_message(foreign.check_text(image, "generations[*]")), "rank": rank}
            for image, rank in zip(images, ranks, strict=True)
        ]
        return mapped.read_list({**row, "generations": paired}, reading)


def _make_message(address: str) -> list[dict[str, object]]:
    return [{"role": "assistant", "content": [{"type": "image", "uri": address}]}]
