"""What many tests need: an empty lake, and a small one with prompts, responses and a noisy panel."""

from __future__ import annotations

import gc
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import settings

from curate.data.conversation import text_answer
from curate.lake.lake import Lake, Location
from curate.records import (
    Judgment,
    Message,
    Prompt,
    Record,
    Response,
    arrow_schema,
    judgment_id,
    prompt_id,
    response_id,
    text_parts,
)
from tests.times import NOTHING, SLOW_SECONDS, TimesRecorder, name_function, read_times

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # no test may depend on a hub
for threads in ("OMP_NUM_THREADS", "CURATE_THREADS"):  # tests run side by side on all cores
    os.environ.setdefault(threads, "1")
# Nor on how busy the machine is. The workflow e2e draws more examples than a run at hand, which has to end.
settings.register_profile("curate", deadline=None, max_examples=int(os.environ.get("CURATE_EXAMPLES", "40")))
settings.load_profile("curate")

SHARED = Path(__file__).parents[2] / "shared" / "data"

# All tests that use one of these fixtures are one group, so that each server starts once.
SERVERS = ("label_studio", "prefect_server")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record-times", metavar="FILE", help="write how long tests took into this table")


def pytest_configure(config: pytest.Config) -> None:
    if table := config.getoption("record_times", default=None):
        config.pluginmanager.register(TimesRecorder(Path(table).resolve()))


@pytest.hookimpl(tryfirst=True)  # before `-m` asks for the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark slow functions, name the group of tests that one worker runs (`--dist loadgroup`), longest groups first.

    One worker runs all tests of a file. A worker that begins a long file when the others are done would keep everybody
    waiting.
    """
    times = read_times()
    files = {item.path: item.path.relative_to(item.config.rootpath).as_posix() for item in items}
    groups = files | {
        item.path: server
        for server in SERVERS
        for item in items
        if server in item.fixturenames  # type: ignore[attr-defined]
    }
    functions = {name_function(item.nodeid): item.path for item in items}
    wall: dict[str, float] = dict.fromkeys(groups.values(), 0)
    for function, path in functions.items():
        wall[groups[path]] += times.get(function, NOTHING).wall
    for item in items:
        item.add_marker(pytest.mark.xdist_group(groups[item.path]))
        if times.get(name_function(item.nodeid), NOTHING).processor >= SLOW_SECONDS:
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: (-wall[groups[item.path]], groups[item.path]))


def pytest_collection_finish() -> None:
    """Leave what the imports have made out of each garbage collection: it stays until the end."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real data sets with human gold, which are not part of the project."""
    if not SHARED.is_dir():
        pytest.skip("the shared data sets with human gold are not on this machine (../shared/data)")
    return SHARED


@pytest.fixture(scope="session")
def empty_lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a lake without rows. Making its tables takes longer than most tests, so tests copy it."""
    folder = tmp_path_factory.mktemp("empty") / "lake"
    Lake.open(Location.under(folder)).close()
    return folder


@pytest.fixture
def lake(empty_lake: Path, tmp_path: Path) -> Iterator[Lake]:
    """An empty lake that may be written."""
    shutil.copytree(empty_lake, tmp_path / "lake")
    with Lake.open(Location.under(tmp_path / "lake")) as opened:
        yield opened


def table(records: list[Record]) -> pa.Table:
    return pa.Table.from_pylist(
        [record.model_dump() for record in records], schema=arrow_schema(type(records[0]))
    )


def make_prompt(number: int) -> Prompt:
    messages = (
        Message(role="user", content=text_parts(f"Question {number}: what is {number} plus {number}?")),
    )
    key, reference = f"q{number}", str(2 * number)
    identity = prompt_id(messages, key=key, reference=reference)
    return Prompt(prompt_id=identity, messages=messages, source="sample", reference=reference, key=key)


def make_response(prompt: Prompt, number: int) -> Response:
    """Response 0 is right, and the higher the number the worse and longer it is."""
    messages = text_answer(
        f"The answer is {int(prompt.reference or 0) + number}." + " Let me explain." * number
    )
    key, model = f"{prompt.key}-r{number}", f"model-{number}"
    identity = response_id(prompt.prompt_id, messages, key=key, model=model)
    return Response(response_id=identity, prompt_id=prompt.prompt_id, model=model, messages=messages, key=key)


def judge_pair(
    a: Response, b: Response, *, annotator: str, shown: str, accuracy: float, rng: random.Random
) -> Judgment:
    a, b = sorted((a, b), key=lambda response: response.response_id)
    right = "a" if a.model < b.model else "b"  # type: ignore[operator]  # both have a model
    outcome = right if rng.random() < accuracy else {"a": "b", "b": "a"}[right]
    responses = [a.response_id, b.response_id]
    return Judgment(
        judgment_id=judgment_id(
            prompt=a.prompt_id,
            annotator=annotator,
            revision="r",
            form="pairwise",
            responses=responses,
            shown=shown,
        ),
        prompt_id=a.prompt_id,
        annotator_id=annotator,
        kind="human" if annotator.startswith("person") else "llm",
        form="pairwise",
        response_a=a.response_id,
        response_b=b.response_id,
        shown=shown,
        outcome=outcome,
        revision="imported",
        run_id="sample",
    )


@pytest.fixture
def sample_lake(lake: Lake) -> Lake:
    """12 prompts × 4 responses (the lower the model's number the better), judged by good, fair and random."""
    rng = random.Random(0)
    prompts = [make_prompt(number) for number in range(12)]
    responses = [make_response(prompt, number) for prompt in prompts for number in range(4)]
    judgments = [
        judge_pair(a, b, annotator=name, shown=shown, accuracy=accuracy, rng=rng)
        for a in responses
        for b in responses
        if a.prompt_id == b.prompt_id and a.response_id < b.response_id
        for name, accuracy in (("good", 0.95), ("fair", 0.75), ("random", 0.5))
        for shown in ("ab", "ba")
    ]
    with lake.write("sample") as writer:
        writer.append("prompts", table(prompts))
        writer.append("responses", table(responses))
        writer.append("judgments", table(judgments))
    return lake


# Tiny models with random weights: the numerics of engines do not depend on what a model knows.

CHAT_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
MakeModel = Callable[..., Path]


def make_tokenizer(chat_template: str | None) -> Any:
    """Byte-level BPE with some merges, so that what is before a text can change how the text is split."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    text = "the quick brown fox jumps over the lazy dog and answers the question, which is better: A or B? "
    tokenizer.train_from_iterator([text * 3], trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>", model_max_length=512
    )
    fast.chat_template = chat_template
    return fast


@pytest.fixture(scope="session")
def make_model(tmp_path_factory: pytest.TempPathFactory) -> MakeModel:
    """Save a random Llama (`head`: causal or reward) with its tokenizer, and return its folder."""

    def make(
        *, head: str = "causal", seed: int = 0, chat_template: str | None = CHAT_TEMPLATE, **changes: Any
    ) -> Path:
        import torch
        from transformers import LlamaConfig, LlamaForCausalLM, LlamaForSequenceClassification

        tokenizer = make_tokenizer(chat_template)
        settings: dict[str, Any] = {
            "vocab_size": len(tokenizer),
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 512,
            "pad_token_id": 0,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "initializer_range": 0.4,  # far from uniform, so that mistakes show
            "num_labels": 1,
        }
        config = LlamaConfig(**settings | changes)
        torch.manual_seed(seed)
        folder = tmp_path_factory.mktemp("model")
        kind = LlamaForCausalLM if head == "causal" else LlamaForSequenceClassification
        kind(config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return folder

    return make
