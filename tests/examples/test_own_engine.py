"""`examples/own_parts/engine.py`: an engine of one's own, used by a judge through the command line."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import yaml
from click.testing import Result
from typer.testing import CliRunner

from curate.cli.app import app
from curate.config.project import Config
from curate.lake.lake import Lake

EXAMPLES = Path(__file__).parents[2] / "examples" / "own_parts"


def judge_with(folder: Path, engine: dict[str, Any]) -> Result:
    shutil.copy(EXAMPLES / "engine.py", folder)
    judges = [{"name": "words", "kind": "reward-model", "engine": "words"}]
    project = folder / "curate.yaml"
    project.write_text(
        yaml.safe_dump({"workspace": ".", "engines": {"words": engine}, "judge": {"judges": judges}})
    )
    return CliRunner().invoke(app, ["judge", "-c", str(project)])


def test_an_engine_in_a_file_scores_the_responses(sample_lake: Lake, tmp_path: Path) -> None:
    texts = sample_lake.rows("SELECT response_id, messages[-1].content[1].text FROM responses")
    sample_lake.close()
    words = sorted({word for _, text in texts for word in text.lower().split()})
    worth = {word: float(number) for number, word in enumerate(words)}
    result = judge_with(tmp_path, {"kind": "./engine.py:WordReward", "worth": worth})
    assert result.exit_code == 0, result.output
    rewards = {response: sum(worth[word] for word in text.lower().split()) for response, text in texts}
    with Lake.open(Config(workspace=str(tmp_path)).location, read_only=True) as lake:
        rows = lake.rows(
            "SELECT form, response_a, score FROM judgments WHERE annotator_id = ? AND outcome <> 'failed'",
            ["words"],
        )
    assert len(rows) == 12 * 4
    assert all((form, score) == ("pointwise", rewards[response]) for form, response, score in rows)
    assert len({score for *_, score in rows}) > 1


def test_a_wrong_option_is_refused_before_any_work(sample_lake: Lake, tmp_path: Path) -> None:
    sample_lake.close()
    result = judge_with(tmp_path, {"kind": "./engine.py:WordReward", "words": {}})
    assert result.exit_code == 1
    assert "engines.words" in str(result.exception)
