"""The format `verl`: prompts for reinforcement learning, with what rewards are computed from.

As docs/preparation/prepare_data.rst and verl/utils/dataset/rl_dataset.py (`RLHFDataset`) read it, at volcengine/verl
b178a3c, and as verl 0.9.1 loads it. `reward_model.style` is `rule` where the prompt has a reference answer
(`ground_truth`), else `model`: a reward model says. Tools come from verl's own configuration.
"""

from __future__ import annotations

from curate.export.formats.dialogue import list_images, refuse_tools, write_turns
from curate.export.formats.row_format import RowFormat
from curate.export.formats.tasks import Dict
from curate.export.rows import ChatMessage
from curate.records import Record


class VerlReward(Record):
    """Source of the reward of a prompt."""

    style: str
    ground_truth: str


class VerlInfo(Record):
    """Which prompt it is."""

    index: str
    prompt_id: str
    key: str | None


class VerlImage(Record):
    """An image of a prompt, by its address."""

    image: str


class VerlRow(Record):
    """A prompt. `data_source` names the reward function: the source of the lake that the prompt came from."""

    data_source: str
    prompt: tuple[ChatMessage, ...]
    ability: str
    reward_model: VerlReward
    extra_info: VerlInfo
    images: tuple[VerlImage, ...]


class Verl(RowFormat):
    """Prompts for verl: GRPO, PPO and the like."""

    rows = "prompts"
    Row = VerlRow
    reads_layout = True
    checks_rows = False
    title = "Prompts for verl"

    def write_row(self, row: Dict) -> Dict:
        """Return the row of a prompt."""
        refuse_tools(row)
        reference = row["reference"]
        return {
            "data_source": row["source"],
            "prompt": write_turns(row["prompt"]),
            "ability": "alignment" if reference is None else "reference",
            "reward_model": {
                "style": "model" if reference is None else "rule",
                "ground_truth": reference or "",
            },
            "extra_info": {"index": row["prompt_id"], "prompt_id": row["prompt_id"], "key": row["key"]},
            "images": [{"image": address} for address in list_images(row["prompt"])],
        }
