"""The example rows of `curate init`: they leave curate.yaml when a file of one's own comes in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from curate.core.atomic import atomic_file
from curate.core.resources import find_resource
from curate.core.terminal import print_line

if TYPE_CHECKING:
    from curate.lake.lake import Lake

EXAMPLE = "responses.jsonl"


def leave_out_example(path: Path, lake: Lake) -> None:
    """Make a comment of the entry of the example rows, if entry and rows are as `curate init` wrote them.

    Where the lake has the rows already, only say how they are taken out: labels may stand on them.

    Args:
        path: The project's curate.yaml.
        lake: Its lake.
    """
    path = path.resolve()
    content = path.read_bytes().decode("utf-8")
    entry = _read_template_entry()
    if entry not in content or not _is_example(path.parent / EXAMPLE):
        return
    if lake.value("SELECT count(*) FROM prompts WHERE part = ?", [EXAMPLE]):
        print_line(
            f"{EXAMPLE}: the example rows of `curate init` are in the lake beside yours; to leave them out, take its "
            f"entry out of {path.name} and run `curate forget source {EXAMPLE}`"
        )
        return
    comment = "".join(f"  # {line.removeprefix('  ')}" for line in entry.splitlines(keepends=True))
    with atomic_file(path) as file:
        file.write_bytes(content.replace(entry, comment).encode("utf-8"))
        file.chmod(path.stat().st_mode & 0o7777)
    print_line(
        f"{EXAMPLE}: the example rows of `curate init` are left out; their entry in {path.name} is a comment now"
    )


def _is_example(path: Path) -> bool:
    example = find_resource(f"cli/project_template/{EXAMPLE}").read_bytes()
    return path.is_file() and path.stat().st_size == len(example) and path.read_bytes() == example


def _read_template_entry() -> str:
    """Return the entry of the example rows: the first item under `ingest` of the template, whole lines."""
    lines = (
        find_resource("cli/project_template/curate.yaml")
        .read_text(encoding="utf-8")
        .splitlines(keepends=True)
    )
    first = lines.index("ingest:\n") + 1
    last = next(number for number in range(first, len(lines)) if lines[number].startswith("  #"))
    return "".join(lines[first:last])
