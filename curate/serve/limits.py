"""Limits of the reward server, and the refusal of what exceeds them."""

from __future__ import annotations

from dataclasses import dataclass, field

from curate.reward.transforms import RewardTransform


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLimits:
    """Limits of a request (number of responses, size of its body) and of the queue (see `Batcher`).

    `multi_turn`: rendered chats may hold several answers, of which the last one is scored. `transform` makes rewards of
    scores.
    """

    max_responses: int = 256
    max_images: int = 32  # of a request
    max_pixels: int = 16 << 20  # of an image
    max_bytes: int = 8 << 20
    max_queue: int = 2048  # responses
    max_batch: int = 64  # responses
    max_wait: float = 0.004  # seconds
    max_body_seconds: float = 30.0  # in which a client must have sent its request
    max_buffered: int = 256 << 20  # bytes of all requests, until they are answered
    multi_turn: bool = False
    transform: RewardTransform = field(default_factory=RewardTransform)
    cohort: int = 1  # rollouts of a prompt that `/verify` rewards together
    image_http: bool = False  # fetch images from public web addresses
    image_hosts: frozenset[str] = frozenset()  # and from these hosts, public or not
    cohort_seconds: float = 600.0  # for which a rollout waits for the others


class RefusedError(Exception):
    """A request cannot be served: the HTTP status, and the reason in one sentence."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
