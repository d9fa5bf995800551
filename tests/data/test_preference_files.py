"""Files of preference data: marks at their beginning, and tables that are not read."""

from __future__ import annotations

from pathlib import Path

import pytest

from curate.core.errors import CurateError
from curate.data.preference_files import read_data_rows

ROWS = b"""{"prompt": "Name a tree.", "chosen": "Oak", "rejected": "Cod"}
{"prompt": "p", "chosen": "x", "rejected": "y"}
"""


def test_a_byte_order_mark_costs_no_row(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(b"\xef\xbb\xbf" + ROWS)
    assert [row["prompt"] for row in read_data_rows(tmp_path / "x.jsonl")] == ["Name a tree.", "p"]


def test_a_table_of_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"prompt,chosen,rejected\np,x,y\n")
    with pytest.raises(CurateError, match=r"is a table of text.*curate ingest"):
        list(read_data_rows(tmp_path / "x.csv"))
