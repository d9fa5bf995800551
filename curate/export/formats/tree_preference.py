"""The format `tree-preference`: pairs whose shared beginning stands in the prompt, as branches of a tree.

Two trajectories that begin with the same messages (calls of tools with their results, earlier turns) differ from one
message on. That message is where they are compared: `prompt` holds all before it, and `chosen` and `rejected` the rest,
as in trees of trajectories (Yuan et al. 2024, arXiv 2404.02078). Columns are those of `trl-preference`, so every reader
of that format takes it.
"""

from __future__ import annotations

from typing import Any

from curate.core.identity import content_id
from curate.export.formats.dialogue import list_images
from curate.export.formats.row_format import RowFormat
from curate.export.rows import PreferenceConversationRow, TrlPreferenceRow

Dict = dict[str, Any]


class TreePreferenceRow(TrlPreferenceRow):
    """A pair at its branching point.

    `depth`: how many messages of the responses are shared, and have moved into the prompt. `node_id` identifies the
    prompt with them, `path` lists the nodes from the root (the prompt itself) to it.
    """

    depth: int
    node_id: str
    path: tuple[str, ...]


class TreePreferenceConversationRow(PreferenceConversationRow):
    """As `TreePreferenceRow`, where messages have more than text."""

    depth: int
    node_id: str
    path: tuple[str, ...]


class TreePreference(RowFormat):
    """Pairs of responses, each compared from the message on in which they differ."""

    Row = TreePreferenceRow
    ConversationRow = TreePreferenceConversationRow
    checks_rows = False
    title = "Preferences over branches of trajectories"

    def write_row(self, row: Dict) -> Dict:
        """Return the pair with its shared messages in the prompt; one message of each response stays in any case."""
        chosen, rejected = row["chosen"], row["rejected"]
        mine, other = chosen["messages"], rejected["messages"]
        depth = 0
        while depth < min(len(mine), len(other)) - 1 and mine[depth] == other[depth]:
            depth += 1
        path = [content_id(row["prompt_id"], mine[:place]) for place in range(depth + 1)]
        return row | {
            "prompt": [*row["prompt"], *mine[:depth]],
            "chosen": mine[depth:],
            "rejected": other[depth:],
            "chosen_id": chosen["response_id"],
            "rejected_id": rejected["response_id"],
            "chosen_model": chosen["model"],
            "rejected_model": rejected["model"],
            "images": list_images([*row["prompt"], *mine[:depth]]),
            "depth": depth,
            "node_id": path[-1],
            "path": path,
        }
