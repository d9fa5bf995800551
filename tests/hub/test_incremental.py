"""How much of an export goes up again: with plain LFS whole files, with Xet the chunks that are new."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from huggingface_hub import constants

from curate.config.export import ExportEntry
from curate.config.hub import PushTarget
from curate.config.project import Config
from curate.export import write_export
from curate.export.shards import RowGroup, cut_row_groups
from curate.lake.lake import Lake
from curate.pipeline.push import push_folder
from tests.hub.standin import StandInHub

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
TARGET = PushTarget(repository="org/growing")
BATCH = 2048  # prompts, as sql/macros/export.sql has it
_MESSAGE = """[{'role': '%s', 'content': [
    {'type': 'text', 'text': %s, 'uri': NULL, 'sha256': NULL, 'mime_type': NULL}
], 'reasoning': NULL, 'tool_calls': [], 'tool_call_id': NULL, 'name': NULL, 'is_target': NULL}]"""
_TEXT = "array_to_string(list_transform(range(%d), lambda k: md5('%s' || i || '-' || k)), ' ')"
_FILL = (
    f"""INSERT INTO lake.prompts BY NAME
    SELECT md5('p' || i) AS prompt_id, {_MESSAGE % ("user", _TEXT % (4, "q"))} AS messages, 'made' AS source
    FROM range($1, $2) AS numbers (i)""",
    *(
        f"""INSERT INTO lake.responses BY NAME
        SELECT md5('{name}' || i) AS response_id, md5('p' || i) AS prompt_id, 'model-{name}' AS model,
            {_MESSAGE % ("assistant", _TEXT % (12, name))} AS messages
        FROM range($1, $2) AS numbers (i)"""
        for name in ("x", "y")
    ),
    """INSERT INTO lake.preferences BY NAME
    SELECT md5('p' || i) AS prompt_id, least(md5('x' || i), md5('y' || i)) AS response_a,
        greatest(md5('x' || i), md5('y' || i)) AS response_b, 0.8 AS p_a, 1.0 AS strength, 'a' AS outcome,
        'accepted' AS status, 0.8 AS confidence, 6 AS n_judgments, 0.0 AS dropped_weight, 0 AS iteration
    FROM range($1, $2) AS numbers (i)""",
)


def add_prompts(lake: Lake, numbers: range) -> None:
    """Add prompts with a labelled pair each, of texts that hardly compress."""
    for statement in _FILL:
        lake.rows(statement, [numbers.start, numbers.stop])


def export_and_push(lake: Lake, folder: Path) -> Any:
    write_export(lake, Config(), ExportEntry(path=str(folder)))
    return push_folder(Config(), folder, TARGET)


def test_new_prompts_change_no_file_of_old_ones(hub: StandInHub, lake: Lake, tmp_path: Path) -> None:
    folder = tmp_path / "export"
    add_prompts(lake, range(3 * BATCH))
    export_and_push(lake, folder)
    whole = hub.uploaded
    add_prompts(lake, range(3 * BATCH, 3 * BATCH + 60))  # 1 %
    result = export_and_push(lake, folder)
    files = sorted(file.path for file in result.plan.uploads)
    assert files == ["README.md", "croissant.json", "data/train-00003.parquet", "manifest.json"]
    assert (hub.uploaded - whole) / whole < 0.05
    rows = [pq.read_metadata(file).num_rows for file in sorted((folder / "data").iterdir())]
    assert rows == [BATCH, BATCH, BATCH, 60]


def test_with_xet_the_chunks_that_are_there_stay(
    hub: StandInHub, lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every confidence changes, and no text: the real Xet client stores the new column alone."""
    pytest.importorskip("hf_xet", reason="hf_xet is not installed: pip install huggingface-hub brings it")
    hub.xet = tmp_path / "cas"
    hub.xet.mkdir()
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", False)
    folder = tmp_path / "export"
    add_prompts(lake, range(BATCH))
    export_and_push(lake, folder)
    whole = measure_store(hub.xet)
    lake.rows("UPDATE lake.preferences SET confidence = 0.5 + (hash(prompt_id) % 1000) / 2000")
    write_export(lake, Config(), ExportEntry(path=str(folder)))
    result = push_folder(Config(), folder, TARGET)
    assert "data/train-00000.parquet" in {file.path for file in result.plan.uploads}
    assert 0 < measure_store(hub.xet) - whole < whole / 2
    assert not hub.large  # nothing went the old way


def measure_store(folder: Path) -> int:
    """Return the bytes of content that Xet's local store holds."""
    return sum(file.stat().st_size for file in folder.rglob("xorbs/xorbs/*") if file.is_file())


@pytest.mark.parametrize("size", [1, 7, 1000, 100_000])
def test_row_groups_do_not_depend_on_the_batches_of_the_database(size: int) -> None:
    ids = [f"{number:05}" for start in range(3) for number in range(start, 9_000, 3 - start)]
    table = pa.table({"prompt_id": ids})
    cuts = [
        (group.rows["prompt_id"].to_pylist(), group.opens_shard)
        for group in cut_row_groups(table.to_batches(max_chunksize=size), table.schema)
    ]
    assert [identifier for rows, _ in cuts for identifier in rows] == ids
    assert [(len(rows), opens) for rows, opens in cuts] == [
        (3000, False),
        (4500, True),
        (8192, True),
        (806, False),
    ]


def test_rows_without_order_make_no_crowd_of_files() -> None:
    table = pa.table({"prompt_id": [f"{random.Random(number).random():.9f}" for number in range(5000)]})
    groups: list[RowGroup] = list(cut_row_groups(table.to_batches(), table.schema))
    assert len(groups) < 6
    assert sum(group.rows.num_rows for group in groups) == 5000
