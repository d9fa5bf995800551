"""A source is added to curate.yaml, and every other byte of the file stays what it was."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from curate.config.append_source import append_source, insert_source
from curate.core.errors import CurateError
from curate.core.resources import find_resource

ENTRY = (
    "# recognised: a file\n- source: new.csv\n  fields:\n    prompt: question\n    winners: {A: a, B: b}\n"
)
ITEM = {"source": "new.csv", "fields": {"prompt": "question", "winners": {"A": "a", "B": "b"}}}

FILES = {
    "template": find_resource("cli/project_template/curate.yaml").read_text(encoding="utf-8"),
    "empty": "",
    "comments only": "# nothing yet\n",
    "no list": "workspace: .curate\n",
    "no list, no line end": "workspace: .curate",
    "nothing in the list": "ingest:\nworkspace: x\n",
    "nothing in the list, with a comment": "ingest:   # to come\n\nworkspace: x\n",
    "at the margin": "ingest:\n- source: a.jsonl\n- source: b.jsonl # last\nworkspace: x\n",
    "indented far": "ingest:\n      - source: a.jsonl\n        fields:\n            prompt: p   # a path\n# end\n",
    "at the end, no line end": "workspace: x\ningest:\n  - source: a.jsonl",
    "flow items": "ingest:\n  - {source: a.jsonl, fields: {prompt: p}}  # one\n\n\nexport: []\n",
    "flow list": "ingest: [{source: a.jsonl}]  # one\nworkspace: x\n",
    "flow list over lines": "ingest: [\n  {source: a.jsonl},\n]\nworkspace: x\n",
    "empty flow list": "ingest: []\nworkspace: x\n",
    "block text": "ingest:\n  - source: a.jsonl\n    name: |\n      two\n      lines\n\nworkspace: x\n",
    "folded text": "ingest:\n  - source: >-\n      a.jsonl\nworkspace: x\n",
    "quoted, over lines": 'ingest:\n  - source: "a\n      b"\nworkspace: x\n',
    "other line ends": "ingest:\r\n  - source: a.jsonl\r\nworkspace: x\r\n",
    "byte-order mark": "\ufeffingest:\n  - source: a.jsonl\nworkspace: x\n",
    "document marks": "---\ningest:\n  - source: a.jsonl\n",
}


@pytest.mark.parametrize("name", FILES)
def test_the_rest_of_the_file_stays_what_it_was(name: str, tmp_path: Path) -> None:
    path = tmp_path / "curate.yaml"
    path.write_bytes(FILES[name].encode())
    path.chmod(0o640)
    append_source(path, ENTRY)
    before, after = FILES[name], path.read_bytes().decode()
    pairs = zip(before, after, strict=False)
    start = next((place for place, (old, new) in enumerate(pairs) if old != new), len(before))
    assert after.endswith(before[start:])  # one piece was put in, and nothing was taken out
    old = yaml.safe_load(before.removeprefix("\ufeff")) or {}
    assert yaml.safe_load(after.removeprefix("\ufeff")) == {
        **old,
        "ingest": [*(old.get("ingest") or []), ITEM],
    }
    assert path.stat().st_mode & 0o777 == 0o640
    append_source(path, ENTRY)
    assert yaml.safe_load(path.read_text(encoding="utf-8-sig"))["ingest"][-2:] == [ITEM, ITEM]


@pytest.mark.parametrize(
    "content",
    [
        "ingest: null\n",
        "ingest: &a [{source: x}]\nother: *a\n",
        "{ingest: [], workspace: x}\n",
        "ingest: x\n",
        "[]\n",
        "{workspace: x}\n",
    ],
)
def test_where_there_is_no_place_the_file_is_right_or_untouched(content: str, tmp_path: Path) -> None:
    path = tmp_path / "curate.yaml"
    path.write_text(content)
    try:
        append_source(path, ENTRY)
    except CurateError as error:
        refusal = str(error)
    else:
        assert yaml.safe_load(path.read_text())["ingest"][-1] == ITEM
        return
    assert "add to it yourself" in refusal
    assert "source: new.csv" in refusal
    assert path.read_text() == content


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.yaml").write_text("ingest: []\n")
    (tmp_path / "curate.yaml").symlink_to("real.yaml")
    append_source(tmp_path / "curate.yaml", ENTRY)
    assert (tmp_path / "curate.yaml").is_symlink()
    assert "new.csv" in (tmp_path / "real.yaml").read_text()


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab:#-'\" \n", max_size=6),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.text("abc", min_size=1, max_size=3), inner, max_size=3)
        ),
        max_leaves=6,
    ),
    st.booleans(),
)
def test_any_document_keeps_its_values(value: object, flow: bool) -> None:
    document = {"ingest": [{"source": "a", "x": value}], "export": value}
    text = yaml.safe_dump(document, default_flow_style=None if flow else False, sort_keys=False)
    try:
        after = insert_source(text, ENTRY, "curate.yaml")
    except CurateError:
        return
    assert yaml.safe_load(after) == {"ingest": [*document["ingest"], ITEM], "export": value}
