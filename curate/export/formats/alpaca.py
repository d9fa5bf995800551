"""The format `alpaca`: an instruction with the best response, for fine-tuning.

Columns as tatsu-lab/stanford_alpaca has them, and as they are read by torchtune (`alpaca_dataset`), Axolotl (`type:
alpaca`, src/axolotl/prompt_strategies/alpaca_chat.py at axolotl-ai-cloud/axolotl 067b021) and LLaMA-Factory
(`AlpacaDatasetConverter` in src/llamafactory/data/converter.py at hiyouga/LLaMA-Factory ff6d4d1). They have one place
for what is asked, and no common one for system prompts and earlier turns.
"""

from __future__ import annotations

from curate.data.preference_rows import Unusable
from curate.export.formats.best_of_n import BestOptions
from curate.export.formats.dialogue import get_only_turn, refuse_images, refuse_tools, write_turns
from curate.export.formats.tasks import Dict, TaskFormat
from curate.records import Record


class AlpacaRow(Record):
    """A question (`instruction`) and its best answer (`output`). `input` is "": a prompt has no such part."""

    instruction: str
    input: str
    output: str
    prompt_id: str
    response_id: str
    iteration: int


class Alpaca(TaskFormat):
    """Single questions with their best answer, in Alpaca's columns, for fine-tuning."""

    Options = BestOptions
    Row = AlpacaRow
    title = "Instructions"

    def write_example(self, example: Dict) -> Dict:
        """Return the row of a prompt."""
        response = example["response"]
        refuse_tools(example)
        refuse_images(example["prompt"], response["messages"])
        turns = write_turns(example["prompt"])
        if len(turns) != 1 or turns[0]["role"] != "user":
            raise Unusable("a system prompt or several turns, for which this consumer has no place")
        return {
            "instruction": turns[0]["content"],
            "input": "",
            "output": get_only_turn(write_turns(response["messages"]))["content"],
            "response_id": response["response_id"],
        }
