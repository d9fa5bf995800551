"""Consumers of exports: the name of a trainer or tool → the format, its options, and how it is told of the folder."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from curate.core.errors import CurateError


@dataclass(frozen=True, slots=True)
class Consumer:
    """A trainer or tool.

    Attributes:
        format: Name of the format that it reads.
        use: How it is told of the folder, in its own words; `{folder}` is the path.
        options: Options of the format.
        settings: Other settings of the export.
    """

    format: str
    use: str
    options: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def choice(self) -> str | dict[str, Any]:
        """The value of `format` in curate.yaml."""
        return {"kind": self.format, **self.options} if self.options else self.format


_LOAD = 'load_dataset("{folder}", split="train")'
_FACTORY = "dataset_dir: {folder}, dataset: train, stage: "
_SWIFT = "--dataset {folder}/data/train-*.parquet --rlhf_type "

CONSUMERS: Mapping[str, Consumer] = {
    "trl": Consumer("trl-preference", f"DPOTrainer, RewardTrainer, …: train_dataset={_LOAD}"),
    "trl-dpo": Consumer("trl-preference", f"DPOTrainer: train_dataset={_LOAD}"),
    "trl-reward": Consumer(
        "trl-preference", f"RewardTrainer: train_dataset={_LOAD}; its loss subtracts `margin`"
    ),
    "trl-orpo": Consumer("trl-preference", f"ORPOTrainer: train_dataset={_LOAD}"),
    "trl-kto": Consumer("trl-unpaired", f"KTOTrainer: train_dataset={_LOAD}"),
    "trl-bco": Consumer("trl-unpaired", f"BCOTrainer: train_dataset={_LOAD}"),
    "trl-sft": Consumer("best-of-n", f"SFTTrainer: train_dataset={_LOAD}"),
    "west-of-n": Consumer(
        "trl-preference", f"RewardTrainer: train_dataset={_LOAD}", settings={"pairs": "best-worst"}
    ),
    "openrlhf": Consumer(
        "trl-preference",
        "--data.dataset {folder} --data.prompt_key prompt --data.chosen_key chosen --data.rejected_key rejected "
        "--data.apply_chat_template",
    ),
    "llama-factory": Consumer("llama-factory", f"{_FACTORY}rm (or dpo)"),
    "llama-factory-kto": Consumer("llama-factory", f"{_FACTORY}kto", {"task": "binary"}),
    "llama-factory-sft": Consumer("llama-factory", f"{_FACTORY}sft", {"task": "sft"}),
    "ms-swift": Consumer("ms-swift", f"{_SWIFT}rm (or dpo)"),
    "ms-swift-kto": Consumer("ms-swift", f"{_SWIFT}kto", {"task": "binary"}),
    "ms-swift-sft": Consumer("ms-swift", "--dataset {folder}/data/train-*.parquet", {"task": "sft"}),
    "nemo-rl": Consumer("nemo-rl", "dataset_name: PreferenceDataset, data_path: {folder}, split: train"),
    "axolotl": Consumer(
        "axolotl", "rl: dpo, datasets: [{{path: {folder}, split: train, type: chat_template.default}}]"
    ),
    "axolotl-reward": Consumer(
        "axolotl",
        "reward_model: true, datasets: [{{path: {folder}, split: train, type: bradley_terry.chat_template}}]",
        {"type": "bradley_terry"},
    ),
    "axolotl-sft": Consumer(
        "openai-messages",
        "datasets: [{{path: {folder}, split: train, type: chat_template}}]",
        {"task": "sft"},
    ),
    "torchtune": Consumer(
        "openai-messages",
        "dataset: {{_component_: torchtune.datasets.preference_dataset, source: {folder}, split: train}}",
    ),
    "torchtune-sft": Consumer(
        "openai-messages",
        "dataset: {{_component_: torchtune.datasets.chat_dataset, source: {folder}, split: train, "
        "conversation_column: messages, conversation_style: openai}}",
        {"task": "sft"},
    ),
    "alpaca": Consumer(
        "alpaca", "Axolotl: type: alpaca; torchtune: torchtune.datasets.alpaca_dataset, source: {folder}"
    ),
    "verl": Consumer("verl", "data.train_files={folder}/data/train-00000.parquet"),
    "verl-judge": Consumer("judge-rl", "data.train_files={folder}/data/train-00000.parquet"),
    "trl-grpo": Consumer("judge-rl", f"GRPOTrainer: train_dataset={_LOAD}; rewards compare with `solution`"),
    "reward-bench": Consumer("reward-bench", "rewardbench --dataset={folder} --split=train"),
    "reward-bench-2": Consumer(
        "reward-bench-2",
        "scripts/run_v2.py --dataset {folder}",
        settings={"min_confidence": 0.9},
    ),
    "argilla": Consumer("argilla", 'rg.Dataset.from_disk("{folder}")'),
    "icai": Consumer("annotated-pairs", "{folder}/annotated_pairs.json"),
    "feedback-forensics": Consumer("annotated-pairs", "feedback-forensics -d {folder}/annotated_pairs.json"),
    "inspect": Consumer("inspect", 'precomputed_scores("{folder}/train.jsonl")'),
}


def find_consumer(name: str) -> Consumer:
    """Return the consumer of a name.

    Raises:
        CurateError: There is none of that name.
    """
    if (consumer := CONSUMERS.get(name)) is not None:
        return consumer
    near = difflib.get_close_matches(name, CONSUMERS, 1)
    raise CurateError(
        f"`--for` is {name!r}, which is no consumer that curate knows"
        + (f": did you mean {near[0]}? " if near else ". ")
        + f"It knows {', '.join(CONSUMERS)}."
    )
