"""The ledger: all that is filed is committed, in order, together where it came quickly, also when an error passes."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from curate.config.project import Config
from curate.judge import Panel, answer_chunk, plan_chunks
from curate.judge.writer import AnsweredChunk, BackgroundWriter
from curate.lake.lake import Lake
from curate.lake.runs import StageRun
from curate.lake.status import read_status

MakeConfig = Callable[[str], Config]
RULE = "judge: {chunk: 1, judges: [{name: long, kind: './long.py:Long'}]}"
LONG = (
    "from curate.judge import Judge\nfrom curate.judge.base import from_margin\n"
    "class Long(Judge):\n    kind = 'rule'\n    def answer(self, questions):\n"
    "        return [from_margin(len(q.a.text) - len(q.b.text)) for q in questions]\n"
)


@pytest.fixture
def chunks(sample_lake: Lake, make_config: MakeConfig) -> list[AnsweredChunk]:
    """Twelve chunks of one prompt."""
    config = make_config(RULE)
    config.resolve("long.py").write_text(LONG)
    with Panel(config) as panel:
        return [
            answer_chunk(sample_lake, panel, each, run_id="r") for each in plan_chunks(sample_lake, panel)
        ]


def committed(lake: Lake) -> tuple[int, int]:
    """Chunks' records, and judgments."""
    ((records, rows),) = lake.rows(
        "SELECT (SELECT count(*) FROM runs WHERE stage = 'judge'), "
        "(SELECT count(*) FROM judgments WHERE annotator_id = 'long')"
    )
    return records, rows


def test_what_comes_quickly_is_committed_together(sample_lake: Lake, chunks: list[AnsweredChunk]) -> None:
    twin = sample_lake.twin()
    run = StageRun(twin, "judge", config_hash="c")
    with BackgroundWriter(run) as ledger:
        for chunk in chunks[:6]:
            ledger.submit(chunk)
        ledger.flush()
        assert committed(sample_lake)[1] == 6 * 6
        for chunk in chunks[6:]:
            ledger.submit(chunk)
    records, rows = committed(sample_lake)
    assert rows == 12 * 6
    assert records < len(chunks)
    assert (run.total.rows_in, run.total.rows_kept) == (72, 72)
    assert read_status(sample_lake).reconciles
    twin.close()


def test_an_error_between_chunks_loses_nothing_that_was_answered(
    sample_lake: Lake, chunks: list[AnsweredChunk]
) -> None:
    twin = sample_lake.twin()
    with (
        pytest.raises(KeyboardInterrupt),
        BackgroundWriter(StageRun(twin, "judge", config_hash="c")) as ledger,
    ):
        ledger.submit(chunks[0])
        ledger.submit(chunks[1])
        raise KeyboardInterrupt
    assert committed(sample_lake)[1] == 12
    twin.close()


def test_a_commit_that_fails_is_an_error_where_it_is_waited_for(
    sample_lake: Lake, chunks: list[AnsweredChunk]
) -> None:
    closed = sample_lake.twin()
    closed.close()
    with (
        pytest.raises(Exception, match=r"[Cc]losed"),
        BackgroundWriter(StageRun(closed, "judge", config_hash="c")) as ledger,
    ):
        ledger.submit(chunks[0])
        ledger.flush()
    assert committed(sample_lake) == (0, 0)


def test_a_slow_judge_is_committed_chunk_by_chunk(
    sample_lake: Lake, chunks: list[AnsweredChunk], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("curate.judge.writer._COMMIT_INTERVAL", 0.0)
    twin = sample_lake.twin()
    with BackgroundWriter(StageRun(twin, "judge", config_hash="c")) as ledger:
        for number, chunk in enumerate(chunks[:3]):
            ledger.submit(chunk)
            while committed(sample_lake)[0] == number:  # nobody has asked it to
                time.sleep(0.01)
    assert committed(sample_lake) == (3, 18)
    twin.close()
