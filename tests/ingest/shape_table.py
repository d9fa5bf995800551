"""The table of shapes in docs/formats.md: `python -m tests.ingest.shape_table` writes it."""

from __future__ import annotations

from pathlib import Path

from curate.ingest.shapes import SHAPES, open_shape

PAGE = Path(__file__).parents[2] / "docs" / "formats.md"
BEGIN, END = "<!-- shapes: begin -->\n", "<!-- shapes: end -->\n"


def build_table() -> str:
    """Build the table: name, what it is, columns by which it is known, what the annotators are."""
    lines = ["| format | reads | columns | annotators |", "| --- | --- | --- | --- |"]
    for name in SHAPES.names:
        shape = open_shape(name)
        columns = "; or ".join(
            ", ".join(f"`{column}`" for column in sorted(names)) for names in shape.columns
        )
        lines.append(f"| `{name}` | {shape.description} | {columns} | {shape.kind} |")
    return "\n".join(lines) + "\n"


def replace_table(text: str) -> str:
    head, rest = text.split(BEGIN)
    return f"{head}{BEGIN}{build_table()}{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    PAGE.write_text(replace_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
