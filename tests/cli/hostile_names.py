"""Forty names that attack whatever shows them, and a project in which everything is called so."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

RAN = "window.__ran=1"
ESC, CSI, OSC, BEL = "\x1b", "\x9b", "\x9d", "\x07"
# ruff: noqa: E501
NAMES = [
    "[/x]", "[bold red]all counts reconcile[/]", "[link=https://evil.example]click[/link]", "[[[", "]", "\\[x]", ":skull:",
    f"{ESC}[31mred", f"{ESC}]8;;https://evil.example{ESC}\\here", f"{ESC}]0;title{BEL}", f"{ESC}[2J{ESC}[H", f"{CSI}31mred",
    f"{OSC}0;title{BEL}", "a\rb", "a\bb\b", "row\nall counts reconcile", "tab\tname", "\u202egnp.exe", "\u2066x\u2069", "zero\u200bwidth",
    f"<script>{RAN}</script>", f"<img src=x onerror={RAN}>", f"</style></svg><svg onload={RAN}>", f"\"><script>{RAN}</script>",
    f"<a href=javascript:{RAN}>x</a>", f"[x](javascript:{RAN})", f"![x](x){{onerror={RAN}}}", "# heading\n\n- item", "a | b | c", "`code`",
    "=1+1", "=HYPERLINK(\"https://evil.example\")", "+1", "-1", "@SUM(A1)", "{{ 7 * 7 }}", "{% raise %}", "'; DROP TABLE prompts; --",
    "../../etc/passwd", "${HOME}$(id)`id`", "%s%n{0}",
]  # fmt: skip
assert len(set(NAMES)) >= 40

CONFIG = {
    "ingest": [
        {
            "source": "responses.jsonl",
            "name": "[/x]\x1b[31m<script>window.__ran=1</script>".replace("\x1b", ""),
        },
        {"source": "votes.jsonl", "kind": "judgments"},
    ],
    "judge": {
        "judges": [
            {"name": "[/x]", "kind": "rule", "rule": "length"},
            {"name": "[link=https://evil.example]l[/]", "kind": "rule", "rule": "repetition"},
            {"name": f"<img src=x onerror={RAN}>", "kind": "rule", "rule": "./rule.py:Hostile"},
        ]
    },
    "evaluate": {"benchmarks": [{"name": "[/gold]", "source": "gold.jsonl"}]},
    "export": [
        {"path": "export/pairs", "format": "trl-preference", "license": f"<script>{RAN}</script>[/x]"},
        {"path": "export/tables", "format": "parquet", "jsonl": True},
    ],
    "report": {"title": f"[/x]<script>{RAN}</script>"},
}

RULE = """
from curate.judge.rules import Rule

class Hostile(Rule):
    def score_response(self, item, text):
        return -float(len(text)) if len(text) % 3 else None
"""


def make_hostile_project(folder: Path) -> Path:
    """Write a project in which everything that has a name has a hostile one."""
    folder.mkdir()
    rows, votes, gold = [], [], []
    for number, name in enumerate(NAMES):
        other = NAMES[(number + 1) % len(NAMES)]
        key = f"{name}#{number}"
        responses = [
            {"id": f"a{name}", "model": name, "text": f"{name} {'a' * (number % 5 + 1)}"},
            {"id": f"b{name}", "model": other, "text": f"{other} {name}"},
        ]
        rows.append({"id": key, "prompt": f"{name} ?", "responses": responses})
        vote = {"prompt": key, "a": f"a{name}", "b": f"b{name}"}
        votes += [
            vote | {"annotator": name, "kind": "human", "winner": "a", "rationale": name},
            vote | {"annotator": other, "kind": "llm", "winner": "b", "rationale": other},
            vote | {"annotator": f"{name} person", "kind": "human", "winner": "a", "rationale": name},
        ]
        gold.append({"prompt": key, "ranking": [[f"a{name}"], [f"b{name}"]]})
    bad = [{"id": name, "prompt": name} for name in NAMES]
    write_rows(folder / "responses.jsonl", [*rows, *bad])
    write_rows(folder / "votes.jsonl", votes)
    write_rows(folder / "gold.jsonl", gold)
    pairs = [{"prompt": name, "chosen": f"{name} longer", "rejected": name, "subset": name} for name in NAMES]
    write_rows(folder / "[pairs].jsonl", pairs)
    (folder / "rule.py").write_text(RULE)
    (folder / "curate.yaml").write_text(yaml.safe_dump(CONFIG, allow_unicode=True), encoding="utf-8")
    return folder


def write_rows(path: Path, rows: list[dict[str, object]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
