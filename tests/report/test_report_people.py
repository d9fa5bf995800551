"""The section about people: shown where there are any, with their figures, and nothing of theirs as markup."""

from __future__ import annotations

import pyarrow as pa

from curate.config.project import Config
from curate.lake.lake import Lake
from curate.records import VerifyTask, arrow_schema
from curate.report.facts import Facts, gather_facts
from curate.report.page import render_page
from tests.report.conftest import PANEL, fill

CROWD = (
    *(("sturdy-8b", "llm", 0.86, 0.04, 0.05, 0.0),),
    *(
        (f"person-{name}", "human", 0.9, 0.0, 0.05, 0.0)
        for name in ("ada", "bob", "cai", "dan", "<b>eve</b>")
    ),
    *((f"person-{name}", "human", 0.1, 0.0, 0.0, 0.0) for name in ("contrary", "other")),
)


CONFIG = Config.model_validate({"report": {"examples": 0}})


def page(facts: Facts) -> str:
    return render_page(facts, fingerprint="f")


def test_people_have_a_section_with_their_figures(lake: Lake) -> None:
    fill(lake, prompts=12, panel=CROWD)
    pair = lake.rows("SELECT prompt_id, response_a, response_b FROM judgments LIMIT 1")[0]
    task = VerifyTask(
        task_id="t",
        prompt_id=pair[0],
        form="pairwise",
        responses=pair[1:],
        strategy="verified earlier",
        purpose="gold",
        run_id="r",
    )
    with lake.write("test") as writer:
        writer.append(
            "verify_tasks", pa.Table.from_pylist([task.model_dump()], schema=arrow_schema(VerifyTask))
        )
    facts = gather_facts(lake, CONFIG)
    found = facts.people
    assert found is not None
    by_name = {each.annotator_id: each for each in found.quality.people}
    assert by_name["person-ada"].answers == 144 == by_name["person-contrary"].answers
    assert by_name["person-ada"].peers.value > 0.5 > by_name["person-contrary"].peers.value
    assert by_name["person-ada"].fast.right == 0  # all times are equal
    assert [(each.purpose, each.asked, each.waiting) for each in found.questions] == [("gold", 1, 1)]
    assert found.groups is not None
    assert len(found.groups.share) == 2  # the contrary ones hold a view, it is not noise
    html = page(facts)
    assert 'href="#people"' in html
    assert "Krippendorff" in html
    assert "&lt;b&gt;eve&lt;/b&gt;" in html
    assert "<b>eve</b>" not in html


def test_what_people_differ_on_is_listed(lake: Lake) -> None:
    two = (("ada", "human", 1.0, 0.0, 0.0, 0.0), ("bob", "human", 0.0, 0.0, 0.0, 0.0))
    facts = gather_facts(fill(lake, prompts=3, panel=two), CONFIG)
    found = facts.people
    assert found is not None
    assert found.quality.disputed == 18
    assert [(each.people, each.a, each.ties, each.b) for each in found.disputes] == [(2, 1, 0, 1)] * 10
    assert "Pairs without a majority: 18" in page(facts)


def test_without_people_there_is_none(lake: Lake) -> None:
    fill(lake, prompts=6, panel=[each for each in PANEL if each[1] != "human"])
    facts = gather_facts(lake, CONFIG)
    assert facts.people is None
    assert "#people" not in page(facts)
