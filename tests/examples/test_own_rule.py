"""`examples/own_parts/rule.py`: a rule of one's own, asked through the command line, with an option and without."""

from __future__ import annotations

import shutil
from pathlib import Path

import yaml
from typer.testing import CliRunner

from curate.cli.app import app
from curate.config.project import Config
from curate.lake.lake import Lake

EXAMPLES = Path(__file__).parents[2] / "examples" / "own_parts"


def write_project(folder: Path, *rules: object) -> Path:
    judges = [{"name": f"rule-{n}", "kind": "rule", "rule": rule} for n, rule in enumerate(rules)]
    path = folder / "curate.yaml"
    path.write_text(yaml.safe_dump({"workspace": ".", "judge": {"judges": judges}}))
    return path


def test_a_rule_in_a_file_judges_the_pairs(sample_lake: Lake, tmp_path: Path) -> None:
    sample_lake.close()
    shutil.copy(EXAMPLES / "rule.py", tmp_path)
    name = "./rule.py:FewerMarks"
    project = write_project(tmp_path, name, {"kind": name, "marks": "e"}, {"kind": "length"}, "length")
    result = CliRunner().invoke(app, ["judge", "-c", str(project)])
    assert result.exit_code == 0, result.output
    with Lake.open(Config(workspace=str(tmp_path)).location, read_only=True) as lake:
        query = "SELECT annotator_id, count(*), count(DISTINCT revision) FROM judgments "
        rows = lake.rows(f"{query} WHERE annotator_id LIKE 'rule-%' GROUP BY 1 ORDER BY 1")
        assert rows == [(f"rule-{n}", 12 * 6, 1) for n in range(4)]
        revisions = lake.rows("SELECT DISTINCT revision FROM judgments WHERE annotator_id LIKE 'rule-%'")
        assert len(revisions) == 3  # `{kind: length}` is `length`


def test_a_wrong_name_or_option_is_refused_before_any_question(sample_lake: Lake, tmp_path: Path) -> None:
    sample_lake.close()
    shutil.copy(EXAMPLES / "rule.py", tmp_path)
    project = write_project(tmp_path, "lenght")
    result = CliRunner().invoke(app, ["judge", "-c", str(project)])
    assert result.exit_code != 0
    assert "did you mean `length`?" in str(result.exception)
    project = write_project(tmp_path, {"kind": "./rule.py:FewerMarks", "mark": "e"})
    result = CliRunner().invoke(app, ["judge", "-c", str(project)])
    assert result.exit_code != 0
    assert "did you mean `marks`?" in str(result.exception)
