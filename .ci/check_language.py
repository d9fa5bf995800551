"""Hold names and docstrings to the project's language (docs/glossary.md): `python .ci/check_language.py FILE…`.

Functions start with a verb and name their object: no past participles, and of all functions at most three in ten are
one word. No variable is called `each`, `found`, `said` or `told`. A docstring begins with what a thing is or does.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

VAGUE = {"each", "found", "said", "told"}
MOST_OF_ONE_WORD = 0.30
RIDDLE = re.compile(r"(Of|Whether|Who|What|How) ")
IRREGULAR = {
    *(
        "asked",
        "built",
        "drawn",
        "drew",
        "fed",
        "found",
        "given",
        "held",
        "kept",
        "known",
        "left",
        "made",
        "put",
    ),
    *("said", "seen", "sent", "shown", "spent", "taken", "thought", "told", "understood", "written", "won"),
}
NO_PARTICIPLES = {
    "embed",
    "exceed",
    "feed",
    "need",
    "proceed",
    "seed",
    "speed",
    "succeed",
    "shed",
    "weighted",
}
STATES = {
    "is",
    "has",
    "was",
    "are",
    "can",
    "count",
    "list",
    "find",
    "read",
    "load",
    "drop",
    "select",
    "refuse",
}
GIVEN = {"connection_made", "connection_lost", "data_received"}  # names of asyncio's
FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef


def is_participle(word: str) -> bool:
    return word in IRREGULAR or (word.endswith("ed") and len(word) > 3 and word not in NO_PARTICIPLES)


def is_participle_function(name: str) -> bool:
    """Tell whether a function is named for a result instead of for what it does (`_rounded`, `labels_needed`)."""
    if name in GIVEN:
        return False
    first, *rest = name.strip("_").split("_")
    return is_participle(first) or (len(rest) == 1 and is_participle(rest[0]) and first not in STATES)


def is_property(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Tell whether a function reads as an attribute: those are named for what they hold."""
    return any("property" in ast.unparse(decorator) for decorator in node.decorator_list)


def find_problems(path: Path, tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield (line, sentence) for all that is against the language in a file."""
    for node in ast.walk(tree):
        if isinstance(node, FUNCTIONS) and is_participle_function(node.name) and not is_property(node):
            yield node.lineno, f"function {node.name}: start with a verb and name its object"
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id in VAGUE:
            yield node.lineno, f"variable {node.id}: name what it holds"
        if isinstance(node, ast.arg) and node.arg in VAGUE:
            yield node.lineno, f"parameter {node.arg}: name what it holds"
        if isinstance(node, FUNCTIONS | ast.ClassDef | ast.Module):
            docstring = ast.get_docstring(node)
            if docstring and RIDDLE.match(docstring):
                line = getattr(node, "lineno", 1)
                yield (
                    line,
                    f"docstring {docstring.split(chr(10))[0][:50]!r}: begin with a verb or with the thing",
                )


def list_functions(tree: ast.Module) -> list[str]:
    return [node.name for node in ast.walk(tree) if isinstance(node, FUNCTIONS)]


def main(folders: list[str]) -> int:
    files = sorted(file for folder in folders for file in Path(folder).rglob("*.py"))
    functions: list[str] = []
    problems = 0
    for file in files:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        functions += list_functions(tree)
        for line, sentence in sorted(find_problems(file, tree)):
            problems += 1
            print(f"{file}:{line}: {sentence}")
    one_word = sum("_" not in name.strip("_") for name in functions)
    share = one_word / max(len(functions), 1)
    print(f"{len(functions)} functions, {share:.0%} of one word; {problems} problems")
    if share > MOST_OF_ONE_WORD:
        print(f"more than {MOST_OF_ONE_WORD:.0%} of the functions are one word: name their objects too")
    return int(problems > 0 or share > MOST_OF_ONE_WORD)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
