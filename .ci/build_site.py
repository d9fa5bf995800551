"""Build the documentation's site: `python .ci/build_site.py` writes build/site, with strict links.

It copies the pages to build/pages, where links that leave docs/ lead to copies of files. It adds what is made from code
(the keys of curate.yaml, the functions of Python) and llms.txt, and runs Zensical on zensical.toml.
"""

from __future__ import annotations

import inspect
import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "build/pages"
PROJECT = {  # pages that stand outside of docs/, and their place on the site
    "CONTRIBUTING.md": "project/contributing.md",
    "SECURITY.md": "project/security.md",
    "CHANGELOG.md": "project/changelog.md",
    "bench/RESULTS.md": "project/measurements.md",
    "examples/demo/DATA.md": "project/demo-data.md",
}
LINK = re.compile(r"(!?\[(?:[^\]\[]|\[[^\]]*\])*\])\(([^)\s]+)\)")
FENCE = re.compile(r"^ *```.*?^ *```|`[^`\n]*`", re.M | re.S)


def place_page(file: Path) -> Path | None:
    """Return the place of a file of the repository on the site, if it is a page or an image of docs/."""
    name = file.relative_to(ROOT).as_posix()
    if name in PROJECT:
        return Path(PROJECT[name])
    return file.relative_to(ROOT / "docs") if file.is_relative_to(ROOT / "docs") else None


def rewrite_links(text: str, source: Path, place: Path) -> str:
    """Let links lead to where things are on the site: pages, copies of files, or nowhere (folders)."""
    code: list[str] = []

    def keep(match: re.Match[str]) -> str:
        code.append(match[0])
        return f"\0{len(code) - 1}\0"

    def rewrite(match: re.Match[str]) -> str:
        words, target = match[1], match[2]
        words = restore(words)
        path, hash_sign, anchor = target.partition("#")
        if re.match(r"[a-z]+:", target) or not path:
            return f"{words}({target})"
        file = (source.parent / path).resolve()
        if file.is_dir():
            return words.strip("[]")
        there = place_page(file)
        if there is None:
            there = Path("files") / file.relative_to(ROOT)
            if there.suffix == ".md":
                there = there.with_suffix(".md.txt")
            (PAGES / there).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, PAGES / there)
            hash_sign = anchor = ""
        up = "../" * (len(place.parts) - 1)
        return f"{words}({up}{there.as_posix()}{hash_sign}{anchor})"

    def restore(words: str) -> str:
        return re.sub("\0(\\d+)\0", lambda match: code[int(match[1])], words)

    return restore(LINK.sub(rewrite, FENCE.sub(keep, text)))


def copy_pages() -> None:
    shutil.rmtree(PAGES, ignore_errors=True)
    files = [*(ROOT / "docs").rglob("*"), *(ROOT / name for name in PROJECT)]
    for file in files:
        place = place_page(file)
        if place is None or file.is_dir():
            continue
        (PAGES / place).parent.mkdir(parents=True, exist_ok=True)
        if file.suffix == ".md":
            text = rewrite_links(file.read_text(encoding="utf-8"), file, place)
            (PAGES / place).write_text(space_blocks(text), encoding="utf-8")
        else:
            shutil.copyfile(file, PAGES / place)


def space_blocks(text: str) -> str:
    """Put an empty line before lists, tables and fences that follow text at once: GitHub alone needs none."""
    lines: list[str] = []
    fenced = False
    for line in text.split("\n"):
        before = lines[-1] if lines else ""
        opens = not fenced and re.match(r"(- |\* |\d+\. |\||```)", line)
        if opens and before.strip() and not re.match(r"\s*(- |\* |\d+\. |\|)|\s{2,}", before):
            lines.append("")
        if line.lstrip().startswith("```"):
            fenced = not fenced
        lines.append(line)
    return "\n".join(lines)


def describe_keys(schema: dict[str, Any]) -> str:
    """Make the page of the keys of curate.yaml from its JSON Schema."""
    lines = [
        "# curate.yaml",
        "",
        "Made from `schemas/curate.yaml.json`, which editors read for completion.",
        "",
    ]
    definitions = schema["$defs"]
    done: set[str] = set()

    def find_references(entry: Any) -> list[str]:
        if isinstance(entry, dict):
            own = [entry["$ref"].rpartition("/")[2]] if "$ref" in entry else []
            return own + [name for value in entry.values() for name in find_references(value)]
        return [name for value in entry for name in find_references(value)] if isinstance(entry, list) else []

    def describe(title: str, section: dict[str, Any], level: int) -> None:
        if title:
            lines.extend([f"{'#' * level} {title}", ""])
        lines.extend([section.get("description", ""), ""])
        properties = section.get("properties", {})
        if properties:
            lines.extend(["| key | type | default | |", "| --- | --- | --- | --- |"])
        for key, entry in properties.items():
            lines.append(
                f"| `{key}` | {name_type(entry)} | {show_default(entry)} | {escape(entry.get('description', ''))} |"
            )
        lines.append("")
        for key, entry in properties.items():
            for name in find_references(entry):
                if name not in done and name in definitions:
                    done.add(name)
                    describe(f"{key} ({name})", definitions[name], min(level + 1, 4))

    for key, entry in schema["properties"].items():
        lines.extend([f"## {key}", "", escape(entry.get("description", "")), ""])
        names = [name for name in dict.fromkeys(find_references(entry)) if name not in done]
        for name in names:
            done.add(name)
            describe(name if len(names) > 1 else "", definitions[name], 3)
    return "\n".join(lines)


def name_type(entry: dict[str, Any]) -> str:
    if "$ref" in entry:
        return entry["$ref"].rpartition("/")[2]
    if "anyOf" in entry:
        return " or ".join(dict.fromkeys(name_type(option) for option in entry["anyOf"]))
    if "enum" in entry:
        return ", ".join(f"`{value}`" for value in entry["enum"])
    if entry.get("type") == "array":
        return f"list of {name_type(entry.get('items', {}))}"
    return "no value" if entry.get("type") == "null" else str(entry.get("const", entry.get("type", "any")))


def show_default(entry: dict[str, Any]) -> str:
    value = entry.get("default")
    return "" if value in (None, "", [], {}) or isinstance(value, dict) else f"`{json.dumps(value)}`"


def escape(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|").replace("<", "&lt;")


def describe_python() -> str:
    """Make the page of what `import curate` offers from signatures and docstrings."""
    import curate

    lines = [
        "# Python",
        "",
        "What `import curate` offers; [a longer text](../python.md) tells how to use it.",
        "",
    ]
    for name in curate.__all__:
        part = getattr(curate, name)
        lines += [f"## curate.{name}", "", *describe_part(name, part)]
        if inspect.isclass(part):
            for key, member in vars(part).items():
                if not key.startswith("_") and (inspect.isfunction(member) or isinstance(member, property)):
                    lines += [f"### {name}.{key}", "", *describe_part(key, member)]
    return "\n".join(lines)


def describe_part(name: str, part: Any) -> list[str]:
    lines = []
    if inspect.isfunction(part):
        parameters = [f"    {parameter}," for parameter in inspect.signature(part).parameters.values()]
        body = "\n".join([f"{name}(", *parameters, ")"]) if parameters else f"{name}()"
        lines += ["```python", body, "```", ""]
    return [*lines, *convert_docstring(inspect.getdoc(part) or ""), ""]


def convert_docstring(text: str) -> list[str]:
    """Turn a docstring in Google's style into Markdown: sections are lists, what is indented elsewhere is code."""
    lines: list[str] = []
    section = ""
    for line in text.split("\n"):
        if re.fullmatch(r"(Args|Attributes|Returns|Raises|Yields):", line):
            section = line[:-1]
            lines += ["", f"**{section}**", ""]
        elif section and re.match(r" {4}\S", line):
            name, colon, rest = line.strip().partition(": ")
            is_item = colon and section != "Returns" and re.fullmatch(r"\**[\w.]+", name)
            lines.append(
                f"- `{name}`: {rest}"
                if is_item
                else f"- {line.strip()}"
                if section != "Returns"
                else line.strip()
            )
        elif section and line.startswith(" " * 8):
            lines.append(f"  {line.strip()}")
        else:
            section = section if not line.strip() else ""
            lines.append(line)
    return lines


def write_llms_text(nav: list[Any], name: str, summary: str) -> None:
    """Write llms.txt: every page with its first sentence, for language models."""
    lines = [f"# {name}", "", f"> {summary}", ""]

    def walk(entries: list[Any]) -> None:
        for entry in entries:
            title, target = next(iter(entry.items()))
            if isinstance(target, list):
                lines.extend(["", f"## {title}", ""])
                walk(target)
                continue
            text = re.sub(
                r"^ *```.*?^ *```", "", (PAGES / target).read_text(encoding="utf-8"), flags=re.M | re.S
            )
            blocks = [
                block for block in re.split(r"\n\s*\n", text) if not re.match(r"\s*([#|<!\-]|\d\.|$)", block)
            ]
            first = re.sub(r"\s+", " ", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", blocks[0])) if blocks else ""
            lines.append(f"- [{title}]({target}.txt): {first[:240]}")

    walk(nav)
    (PAGES / "llms.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> int:
    sys.path.insert(0, str(ROOT))
    settings = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]
    copy_pages()
    schema = json.loads((ROOT / "schemas/curate.yaml.json").read_text(encoding="utf-8"))
    (PAGES / "reference/config.md").write_text(describe_keys(schema), encoding="utf-8")
    (PAGES / "reference/python.md").write_text(describe_python(), encoding="utf-8")
    write_llms_text(settings["nav"], settings["site_name"], settings["site_description"])
    for page in PAGES.rglob("*.md"):  # language models and agents read the Markdown
        shutil.copyfile(page, page.with_suffix(".md.txt"))
    command = [str(Path(sys.executable).with_name("zensical")), "build", "--clean", "--strict"]
    return subprocess.run(command, cwd=ROOT).returncode


if __name__ == "__main__":
    sys.exit(main())
