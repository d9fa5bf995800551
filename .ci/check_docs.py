"""Check what the documentation points to: `python .ci/check_docs.py`, from the root of the repository.

Links to files and headings inside the repository must lead somewhere, and a name in the form `package.module:name`
must exist. Addresses on the web are not fetched.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("*.md", "docs/**/*.md", "bench/**/*.md", "examples/**/*.md")
FENCE = re.compile(r"^ *```.*?^ *```", re.M | re.S)
CODE = re.compile(r"`[^`\n]*`")
LINK = re.compile(r"\[(?:[^\]\[]|\[[^\]]*\])*\]\(([^)\s]+)(?: \"[^\"]*\")?\)")
HEADING = re.compile(r"^#+ +(.*?) *$", re.M)
NAME = re.compile(r"`(curate(?:\.\w+)+):(\w+(?:\.\w+)*)`")


@cache
def list_anchors(page: Path) -> frozenset[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = HEADING.findall(FENCE.sub("", page.read_text(encoding="utf-8")))
    return frozenset(re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings)


def find_broken_links(page: Path, text: str) -> Iterator[str]:
    """Yield a sentence for each link of `text` that leads nowhere."""
    for target in LINK.findall(CODE.sub("", FENCE.sub("", text))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists():
            yield f"link to {target}: there is no such file"
        elif anchor and file.suffix == ".md" and anchor not in list_anchors(file):
            yield f"link to {target}: the page has no such heading"


def find_missing_names(text: str) -> Iterator[str]:
    """Yield a sentence for each `package.module:name` of `text` that does not exist."""
    for module, name in NAME.findall(text):
        path = ROOT / module.replace(".", "/")
        file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if not file.is_file():
            yield f"`{module}:{name}`: there is no such module"
        elif not is_defined(ast.parse(file.read_text(encoding="utf-8")).body, name.split(".")):
            yield f"`{module}:{name}`: the module defines no such name"


def is_defined(body: list[ast.stmt], names: list[str]) -> bool:
    """Tell whether statements define a class or function (and in it, the next of `names`)."""
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.name == names[0]:
            return len(names) == 1 or is_defined(node.body, names[1:])
    return False


def main() -> int:
    pages = sorted({page for pattern in PAGES for page in ROOT.glob(pattern)})
    problems = 0
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for sentence in (*find_broken_links(page, text), *find_missing_names(text)):
            problems += 1
            print(f"{page.relative_to(ROOT)}: {sentence}")
    print(f"{len(pages)} pages, {problems} problems")
    return int(problems > 0)


if __name__ == "__main__":
    sys.exit(main())
