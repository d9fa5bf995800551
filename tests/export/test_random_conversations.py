"""Any conversation that is ingested, labelled and exported is read from the export as it was."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curate.aggregate import aggregate_judgments
from curate.config.export import ExportEntry
from curate.config.project import load_config
from curate.data.conversation import Conversation, load_messages
from curate.data.preference_pairs import read_pairs
from curate.export import write_export
from curate.ingest import ingest_sources
from curate.lake.lake import Lake
from tests.data.conversations import answers, prompts

CONFIG = """
ingest:
  - {source: rows.jsonl}
  - {source: votes.jsonl, kind: judgments}
"""


def is_visible(prompt: Conversation) -> bool:
    return any(
        message.reasoning
        or message.tool_calls
        or any(part.uri or (part.text or "").strip() for part in message.content)
        for message in prompt
    )


def write_native(messages: Conversation) -> list[dict[str, Any]]:
    """Messages as a native row has them."""
    return [message.model_dump(exclude_none=True) for message in messages]


pairs = st.tuples(prompts.filter(is_visible), answers(), answers()).filter(lambda pair: pair[1] != pair[2])


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(pairs, min_size=12, max_size=16))
def test_export_gives_back_what_was_ingested(
    drawn: list[tuple[Conversation, Conversation, Conversation]],
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = [
            {
                "id": f"p{number}",
                "prompt": write_native(prompt),
                "responses": [
                    {"id": "good", "messages": write_native(good)},
                    {"id": "bad", "messages": write_native(bad)},
                ],
            }
            for number, (prompt, good, bad) in enumerate(drawn)
        ]
        votes = [
            {"prompt": row["id"], "a": "good", "b": "bad", "winner": "a", "annotator": "ada", "kind": "human"}
            for row in rows
        ]
        for file, lines in (("rows.jsonl", rows), ("votes.jsonl", votes)):
            (folder / file).write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        (folder / "curate.yaml").write_text(CONFIG, encoding="utf-8")
        config = load_config(folder / "curate.yaml")
        with Lake.open(config.location) as lake:
            assert ingest_sources(lake, config).counts.rows_dropped == 0
            stored = {
                key: load_messages(messages)
                for key, messages in lake.rows('SELECT "key", messages FROM prompts')
            }
            assert stored == {f"p{number}": prompt for number, (prompt, _, _) in enumerate(drawn)}
            ids = dict(lake.rows('SELECT "key", prompt_id FROM prompts'))
            aggregate_judgments(lake, config)
            entry = ExportEntry.model_validate({"path": str(folder / "out"), "format": "trl-preference"})
            assert write_export(lake, config, entry).rows == len(drawn)
        read = read_pairs(folder / "out")
        assert read.dropped == {}
        found = {
            read.prompt_ids[read.prompt[pair]]: (
                read.contexts[read.prompt[pair]],
                read.responses[read.chosen[pair]],
                read.responses[read.rejected[pair]],
            )
            for pair in range(len(read))
        }
        assert found == {ids[f"p{number}"]: pair for number, pair in enumerate(drawn)}
