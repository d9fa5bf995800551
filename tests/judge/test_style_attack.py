"""The adaptive style attack: it flips judges by style, never judges by content, and learns which edit does it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from curate.cli.app import app
from curate.config.evaluate import AttackSection
from curate.config.project import Config
from curate.core.errors import CurateError
from curate.data.adversarial import adversarial_cases
from curate.data.style_edits import EDITS
from curate.judge import Panel
from curate.judge.adversarial import load_adversarial_items, measure_attack_success, select_items
from curate.judge.style_attack import EditBandit, attack_judge, load_style_pairs, measure_style_attacks
from curate.lake.lake import Lake

MakeConfig = Callable[[str], Config]
PARTS = '''
from curate.judge import Judge, ask_both_orders, ask_each_response, from_margin, from_probability, from_rating

RIGHT = {"100 degrees", "206", "102", "Mercury is closest", "Leonardo", "carbon dioxide. They give off oxygen"}

def value(text):
    return float(any(part in text for part in RIGHT))

class Bold(Judge):
    """Right, unless an answer is printed in bold."""
    def answer(self, questions):
        return [from_margin(value(q.a.text) + 2 * ("**" in q.a.text) - value(q.b.text) - 2 * ("**" in q.b.text))
                for q in questions]

class Reads(Judge):
    """By content alone."""
    def answer(self, questions):
        return [from_margin(value(q.a.text) - value(q.b.text)) for q in questions]

class Slowly(Judge):
    """Believes a little more in longer answers, however long; shown in both orders."""
    def questions(self, item):
        return ask_both_orders(item)
    def answer(self, questions):
        def p(q):
            gap = value(q.a.text) - value(q.b.text) + (len(q.a.text) - len(q.b.text)) / 150
            return 0.5 + max(-0.45, min(0.45, gap / 4))
        return [from_probability(p(q)) for q in questions]

class Stars(Judge):
    """Rates a heading."""
    def questions(self, item):
        return ask_each_response(item)
    def answer(self, questions):
        return [from_rating(value(q.a.text) + 2 * q.a.text.startswith("#")) for q in questions]
'''
YAML = """
judge:
  judges:
    - {name: bold, kind: "./parts.py:Bold"}
    - {name: reads, kind: "./parts.py:Reads"}
    - {name: slowly, kind: "./parts.py:Slowly"}
    - {name: stars, kind: "./parts.py:Stars"}
    - {name: longer, kind: rule, rule: length}
evaluate: {bootstrap: 200, attack: {budget: 12}}
"""


@pytest.fixture
def config(make_config: MakeConfig) -> Config:
    made = make_config(YAML)
    Path(made.resolve("parts.py")).write_text(PARTS)
    return made


def test_edits_change_the_style_and_keep_what_is_said() -> None:
    pairs = load_style_pairs()
    assert len(pairs) >= 20
    for pair in pairs:
        words = [word.strip(".,?“”*#:-0123456789") for word in pair.wrong.split()]
        hedges = {"I", "think", "believe", "perhaps", "probably", "possibly", "maybe"}
        for name, edit in EDITS.items():
            changed = edit(pair.request, pair.wrong)
            lower = changed.lower()
            assert all(word.lower() in lower for word in words if word.lower() not in hedges | {"i"}), name
            assert pair.good not in changed
        assert EDITS["plain"](pair.request, EDITS["bullets"](pair.request, pair.wrong)) == pair.wrong
    assert any(EDITS["no hedges"](pair.request, pair.wrong) != pair.wrong for pair in pairs)


def test_judges_by_style_flip_and_judges_by_content_do_not(config: Config) -> None:
    settings = AttackSection(budget=12)
    with Panel(config) as panel:
        results = {name: attack_judge(judge, settings) for name, judge in panel.judges.items()}
    assert results["reads"].flips == [False] * 6
    assert results["reads"].undecided == len(load_style_pairs()) - 6
    for name in ("bold", "slowly", "stars"):
        assert len(results[name].flips) >= 6
        assert all(results[name].flips), name
    # The attacker has learnt what works, and needs fewer questions than trying everything on every pair.
    assert any(results["bold"].trials["bold"] + results["bold"].trials["labels"])
    assert results["bold"].asked < results["reads"].asked
    assert any(results["stars"].trials["heading"])


def test_the_bandit_tries_everything_and_then_what_paid() -> None:
    bandit = EditBandit(exploration=0.1)
    names = list(EDITS)
    first = [bandit.choose_edit(names) for _ in names]
    assert sorted(first) == sorted(names)
    for name in names:
        bandit.add_reward(name, 0.9 if name == "heading" else 0.0)
    assert [bandit.choose_edit(names) for _ in range(2)] == ["heading"] * 2
    assert bandit.choose_edit(["bold", "padding"]) in ("bold", "padding")


def test_the_rates_are_filed_and_the_attack_is_made_once(lake: Lake, config: Config) -> None:
    measure_style_attacks(lake, config, only=["bold", "reads", "longer"])
    rows = lake.rows(
        "SELECT subject, value, n FROM evaluations WHERE benchmark = 'style attack' AND subset = 'all' "
        "AND metric = 'flip-rate' ORDER BY subject"
    )
    assert [row for row in rows if row[0] != "longer"] == [("bold", 1.0, 6), ("reads", 0.0, 6)]
    assert measure_style_attacks(lake, config, only=["bold", "reads", "longer"]).skipped
    assert not measure_style_attacks(lake, config, only=["stars"]).skipped


def test_the_command_attacks_the_judges_that_are_named(tmp_path: Path) -> None:
    (tmp_path / "parts.py").write_text(PARTS)
    (tmp_path / "curate.yaml").write_text(YAML)
    runner, place = CliRunner(), ["-c", str(tmp_path / "curate.yaml")]
    shown = runner.invoke(app, ["evaluate", "--judges", "attack", "-j", "bold", "-j", "reads", *place])
    assert shown.exit_code == 0, shown.output
    cells = [line.split() for line in shown.output.splitlines()]
    rates = {words[0]: words[1] for words in cells if len(words) > 1 and words[1].endswith("%")}
    assert rates == {"bold": "100.0%", "reads": "0.0%"}
    wrong = runner.invoke(app, ["evaluate", "--judges", "attack", "-j", "nobody", *place])
    assert isinstance(wrong.exception, CurateError)
    assert "no judge called 'nobody'" in str(wrong.exception)


# The adversarial sets -----------------------------------------------------------------------------------------

LANGUAGES = ("en", "de", "fr", "es", "zh")


@pytest.mark.parametrize("name", [*LANGUAGES, "images"])
def test_every_set_has_all_hacks_against_good_answers(name: str) -> None:
    cases, english = adversarial_cases((name,)), adversarial_cases()
    assert {case.hack for case in cases} == {case.hack for case in english}
    requests = {case.request for case in cases}
    assert len(cases) == len(requests) * len({case.hack for case in english})
    assert len(requests) >= (5 if name == "images" else 8)
    assert not requests & {case.request for case in english} or name == "en"
    assert all((case.image is not None) == (name == "images") for case in cases)
    if name not in ("en", "images"):
        same = {case.bad for case in cases} & {case.bad for case in english}
        assert same <= {"", ":", "Solution"}


def test_images_of_the_set_can_be_opened() -> None:
    from curate.config.images import ImageAccess
    from curate.data.media import images_of, open_image

    items = load_adversarial_items(("images",))
    sizes = {
        open_image(part, ImageAccess(Path())).size for item in items for part in images_of(item.item.messages)
    }
    assert sizes == {(160, 120), (220, 90)}  # scenes, and pictures of words


def test_judges_are_asked_about_the_sets_that_are_named(lake: Lake, make_config: MakeConfig) -> None:
    judges = "judge: {judges: [{name: l, kind: rule, rule: length}]}"
    config = make_config(f"evaluate: {{bootstrap: 0, guard: [en, de, zh, images]}}\n{judges}")
    with Panel(config) as panel:
        items = select_items(panel.judges["l"], config.evaluate.guard)
    assert {item.set_name for item in items} == {"en", "de", "zh"}  # a rule sees no images
    measure_attack_success(lake, config)
    rows = dict(lake.rows("SELECT subset, n FROM evaluations WHERE starts_with(subset, 'set ') ORDER BY 1"))
    assert rows == {"set de": 8 * 14, "set en": 12 * 14, "set zh": 8 * 14}
