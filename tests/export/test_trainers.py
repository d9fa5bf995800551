"""TRL's trainers take exports as they are: two steps of each on a random model, from the folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from curate.config.export import ExportEntry
from curate.config.project import Config
from curate.export import write_export
from curate.export.consumers import find_consumer
from curate.lake.lake import Lake
from tests.conftest import MakeModel

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.filterwarnings("ignore"),  # what TRL and Transformers say to each other of their options
]


@pytest.mark.parametrize(
    ("consumer", "form"),
    [
        *((name, None) for name in ("trl-reward", "trl-dpo", "trl-orpo", "trl-kto", "trl-sft")),
        ("trl-dpo", "tree-preference"),
    ],
)
def test_two_steps(
    labelled_lake: Lake, tmp_path: Path, make_model: MakeModel, consumer: str, form: str | None
) -> None:
    pytest.importorskip("trl", reason="trains with TRL")
    import datasets
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

    found = find_consumer(consumer)
    entry = ExportEntry.model_validate(
        {
            "path": str(tmp_path / "out"),
            "format": form or found.choice,
            **found.settings,
            "splits": {"train": 0.7, "test": 0.3},
        }
    )
    write_export(labelled_lake, Config(), entry)
    rows = datasets.load_dataset(str(tmp_path / "out"), split="train", cache_dir=str(tmp_path / "cache"))
    is_reward = consumer == "trl-reward"
    model = make_model(head="reward" if is_reward else "causal")
    kind = AutoModelForSequenceClassification if is_reward else AutoModelForCausalLM
    trainer_type, config_type = find_trainer(consumer)
    trainer = trainer_type(
        model=kind.from_pretrained(model),
        args=config_type(
            output_dir=str(tmp_path / "run"), max_steps=2, per_device_train_batch_size=4, use_cpu=True, bf16=False,
            report_to="none", save_strategy="no", logging_steps=1, gradient_checkpointing=False,
        ),
        train_dataset=rows,
        processing_class=AutoTokenizer.from_pretrained(model),
    )  # fmt: skip
    if is_reward:
        batch = next(iter(trainer.get_train_dataloader()))
        assert set(batch["margin"].tolist()) <= {1.0, 2.0, 3.0}
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert len(losses) == 2


def find_trainer(consumer: str) -> tuple[Any, Any]:
    """Return the trainer of a consumer and its configuration; the experimental ones have modules of their own."""
    import trl

    if consumer == "trl-reward":
        return trl.RewardTrainer, trl.RewardConfig
    if consumer == "trl-dpo":
        return trl.DPOTrainer, trl.DPOConfig
    if consumer == "trl-sft":
        return trl.SFTTrainer, trl.SFTConfig
    if consumer == "trl-kto":
        return trl.KTOTrainer, trl.KTOConfig
    from trl.experimental import orpo

    return orpo.ORPOTrainer, orpo.ORPOConfig
