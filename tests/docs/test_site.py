"""The documentation's site is built with strict links, from pages and from code."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


def load_builder() -> Any:
    spec = importlib.util.spec_from_file_location("build_site", ROOT / ".ci/build_site.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_links_out_of_docs_lead_to_copies_and_folders_are_words(tmp_path: Path) -> None:
    builder = load_builder()
    builder.PAGES = tmp_path
    source = ROOT / "docs/howto/own-data.md"
    text = (
        "[a](../formats.md#x) [b](../../schemas/certificate.json) [c](../../schemas) `[d](e)` [f](https://g)"
    )
    made = builder.rewrite_links(text, source, Path("howto/own-data.md"))
    assert made == "[a](../formats.md#x) [b](../files/schemas/certificate.json) c `[d](e)` [f](https://g)"
    assert (tmp_path / "files/schemas/certificate.json").exists()


def test_every_key_of_the_schema_is_on_the_page_of_keys() -> None:
    schema = json.loads((ROOT / "schemas/curate.yaml.json").read_text())
    page = load_builder().describe_keys(schema)
    for key in schema["properties"]:
        assert f"\n## {key}\n" in page
    for definition in schema["$defs"].values():
        assert all(f"| `{key}` |" in page for key in definition.get("properties", {}))


def test_docstrings_become_lists() -> None:
    text = "Do it.\n\nArgs:\n    first: One\n        more.\n    second: Two.\n\nRaises:\n    CurateError: It is wrong."
    assert load_builder().convert_docstring(text) == [
        "Do it.", "", "", "**Args**", "", "- `first`: One", "  more.", "- `second`: Two.", "", "", "**Raises**", "",
        "- `CurateError`: It is wrong.",
    ]  # fmt: skip


def test_every_page_is_in_the_navigation() -> None:
    nav = (ROOT / "zensical.toml").read_text()
    pages = {page.relative_to(ROOT / "docs").as_posix() for page in (ROOT / "docs").rglob("*.md")}
    assert not {page for page in pages if f'= "{page}"' not in nav}


@pytest.mark.e2e
def test_the_site_is_built_without_a_broken_link() -> None:
    if importlib.util.find_spec("zensical") is None:
        pytest.skip("zensical is not installed: pip install '.[docs]'")
    shutil.rmtree(ROOT / "build/site", ignore_errors=True)
    subprocess.run([sys.executable, ".ci/build_site.py"], cwd=ROOT, check=True)
    assert (ROOT / "build/site/reference/cli/index.html").exists()
    assert (ROOT / "build/site/llms.txt").read_text().startswith("# curate")
