"""An explanation finds its prompt by id, prefix or key, says what was overruled, and shows texts as they are."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from curate.aggregate import aggregate_judgments
from curate.cli.explain import print_explanation
from curate.config.project import Config
from curate.core.errors import CurateError
from curate.lake.explain import Explanation, explain_prompt, find_prompt
from curate.lake.lake import Lake
from curate.lake.panel_view import select_panel


def shown(found: Explanation, *, full: bool = False) -> str:
    out = io.StringIO()
    print_explanation(found, Console(file=out, width=80, force_terminal=False), full=full)
    return out.getvalue()


def explained(lake: Lake, name: str) -> Explanation:
    with Lake.open(lake.location, snapshot=lake.snapshot()) as reader:
        select_panel(reader, Config().panel_names)
        return explain_prompt(reader, find_prompt(reader, name))


def test_by_id_prefix_or_key(sample_lake: Lake) -> None:
    identity = sample_lake.value("SELECT prompt_id FROM prompts WHERE key = 'q3'")
    assert {find_prompt(sample_lake, name) for name in (identity, identity[:8], "q3")} == {identity}
    with pytest.raises(CurateError, match="There is no prompt 'nothing'"):
        find_prompt(sample_lake, "nothing")
    sample_lake.rows("UPDATE lake.prompts SET key = 'same'")
    with pytest.raises(CurateError, match="'same' may mean 12 prompts"):
        find_prompt(sample_lake, "same")


def test_judgments_labels_and_what_was_overruled(sample_lake: Lake) -> None:
    aggregate_judgments(sample_lake, Config())
    cyclic = sample_lake.value("SELECT prompt_id FROM graphs ORDER BY dropped_weight DESC LIMIT 1")
    found = explained(sample_lake, cyclic)
    assert [each.rank for each in found.responses] == sorted(each.rank or 0 for each in found.responses)
    assert len(found.pairs) == 6
    assert len(found.statements) == 36
    assert all(sum(found.votes(pair)) == 6 for pair in found.pairs)
    dropped = sum(pair.dropped_weight for pair in found.pairs)
    assert dropped == pytest.approx(found.dropped_weight)
    text = shown(found)
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 80
    assert ("nothing was overruled" in found.order) == (dropped == 0)


def test_texts_have_no_effect_on_the_terminal(sample_lake: Lake) -> None:
    sample_lake.rows(
        "UPDATE lake.responses SET messages = [{'role': 'assistant', 'content': "
        "[{'type': 'text', 'text': '[bold red]x[/] ' || chr(27) || '[2J'}]}], model = '[/]'"
    )
    text = shown(explained(sample_lake, "q1"), full=True)
    assert "[bold red]x[/]" in text
    assert "\x1b" not in text
    assert "run `curate aggregate`" in " ".join(text.split())
