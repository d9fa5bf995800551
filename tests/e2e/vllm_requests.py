"""The requests that every engine must answer alike. As a script: answers them with vLLM in this very process, and
writes the answers as JSON. It runs in vLLM's own environment:

    python -m tests.e2e.vllm_requests CAUSAL_MODEL REWARD_MODEL EMBEDDER OUT
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import msgspec

from curate.engine import Engines, Sampling, build_chat
from curate.engine.base import Choose, Continuation, Engine, Failure, Generate

TEXTS = ("Hi", "the quick brown fox", "which is better: A or B? " * 6, "a <|im_end|> b", "Ünïcödé 🦊")
SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {
            "rating": {"type": "integer", "minimum": 1, "maximum": 5},
            "better": {"enum": ["A", "B"]},
        },
        "required": ["rating", "better"],
        "additionalProperties": False,
    }
)
CHATS = [build_chat(("system", "Judge."), ("user", text)) for text in TEXTS]
CHOOSE = [
    Choose(messages=messages, choices=("A", "B", "the quick"), prefill=prefill)
    for messages in CHATS
    for prefill in ("", "Better:")
]
LIKELY = [
    *(Continuation(messages=messages, continuation=" fox jumps over") for messages in CHATS),
    Continuation(messages=(), prefill="the quick", continuation=" brown fox"),
    Continuation(messages=(), continuation="A or B?"),
]
GREEDY = [Generate(messages=messages, sampling=Sampling(max_tokens=12)) for messages in CHATS]
DRAWN = [
    Generate(messages=messages, sampling=Sampling(max_tokens=8, temperature=1.0, n=3))
    for messages in CHATS[:2]
]
JSON = [
    Generate(messages=messages, json_schema=SCHEMA, sampling=Sampling(max_tokens=60)) for messages in CHATS
]
BAD = [
    Generate(messages=CHATS[0], json_schema='{"type": "colour"}', sampling=Sampling(max_tokens=9)),
    Generate(messages=build_chat(("user", "x" * 2000))),
]
RATED = [build_chat(("user", text), ("assistant", "the lazy dog")) for text in TEXTS]
SENTENCES = ["the quick brown fox", "A fast auburn canine", "Stocks fell on Monday", "word " * 400]


def answers(engine: Engine) -> dict[str, Any]:
    """What an engine says to all of them that it is able to answer."""
    found: dict[str, Any] = {}
    if "choose" in engine.capabilities:
        found["choose"] = engine.choose(CHOOSE)
    if "loglikelihood" in engine.capabilities:
        found["loglikelihood"] = engine.loglikelihood(LIKELY)
    if "generate" in engine.capabilities:
        greedy, drawn = len(GREEDY), len(GREEDY) + len(DRAWN)
        together = engine.generate([*GREEDY, *DRAWN, *JSON, *BAD])
        found["greedy"], found["drawn"] = together[:greedy], together[greedy:drawn]
        found["json"], bad = together[drawn : -len(BAD)], together[-len(BAD) :]
        found["bad"] = [each.reason if isinstance(each, Failure) else None for each in bad]
    if "score" in engine.capabilities:
        found["score"] = engine.score(RATED)
    if "embed" in engine.capabilities:
        found["embed"] = engine.embed(SENTENCES).tolist()
    return dict(msgspec.to_builtins(found))


def _main() -> None:
    causal, reward, embedder, out = sys.argv[1:]
    common = {"kind": "vllm", "dtype": "float32", "eager": True, "max_batch": 16}
    declared = {
        "causal": common | {"model": causal, "max_length": 512, "block": 32},
        "reward": common | {"model": reward, "max_length": 512},
        "embedder": common | {"model": embedder},
    }
    found: dict[str, Any] = {}
    for name in declared:
        if name != "causal":
            os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"  # starts twice as fast
        engine: Any = Engines(declared, Path()).get(name)
        found |= answers(engine)
        if name == "causal":
            model = engine._get_model()
            found["read"], found["cached"] = model.prompt_tokens, model.cached_tokens
            # Its process dies, as it does when memory runs out: the engine starts another and asks again.
            os.kill(_child(), signal.SIGKILL)
            found["again"] = msgspec.to_builtins(engine.choose(CHOOSE))
        engine.close()
    Path(out).write_text(json.dumps(found))  # not standard output: vLLM writes its log there


def _child() -> int:
    """The process that vLLM runs the model in."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    names = {int(child): Path(f"/proc/{child}/cmdline").read_bytes() for child in children}
    (core,) = [child for child, name in names.items() if b"EngineCore" in name]
    return core


if __name__ == "__main__":
    _main()
