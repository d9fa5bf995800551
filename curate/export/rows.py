"""The rows of the training formats: what a reader of an export may rely on."""

from __future__ import annotations

from curate.records import Message, Probability, Record


class ChatMessage(Record):
    role: str
    content: str


class TrlPreferenceRow(Record):
    """One decided pair, as TRL's preference trainers read it (conversational, explicit prompt).

    `confidence` is the probability that the chosen response is the better one, `strength` its log-odds
    before calibration (the margin), and `n_judgments` the number of judgments behind it.
    """

    prompt: tuple[ChatMessage, ...]
    chosen: tuple[ChatMessage, ...]
    rejected: tuple[ChatMessage, ...]
    prompt_id: str
    chosen_id: str
    rejected_id: str
    chosen_model: str | None
    rejected_model: str | None
    confidence: Probability
    strength: float
    n_judgments: int
    iteration: int


class PicturedPreferenceRow(TrlPreferenceRow):
    """A `TrlPreferenceRow` of a lake with images: contents are lists of parts, each image one of type `image`.

    `images`: the addresses of the prompt's, in the order of its parts, where TRL looks for them.
    """

    prompt: tuple[Message, ...]  # type: ignore[assignment]
    chosen: tuple[Message, ...]  # type: ignore[assignment]
    rejected: tuple[Message, ...]  # type: ignore[assignment]
    images: tuple[str, ...]


class RankedResponse(Record):
    response_id: str
    model: str | None
    text: str


class RankingRow(Record):
    """One prompt with all its ranked responses, in the order of their ids (so that order tells nothing).

    `rankings[i]` and `scores[i]` belong to `responses[i]`; rank 1 is the best, and ties share a rank.
    """

    prompt: tuple[ChatMessage, ...]
    responses: tuple[RankedResponse, ...]
    rankings: tuple[int, ...]
    scores: tuple[float, ...]
    prompt_id: str
    iteration: int


class PicturedRankingRow(RankingRow):
    """A `RankingRow` of a lake with images: see `PicturedPreferenceRow`. Responses are texts all the same."""

    prompt: tuple[Message, ...]  # type: ignore[assignment]
    images: tuple[str, ...]


class JudgeSftRow(Record):
    """One verdict of a judge, as TRL's SFTTrainer reads it (conversational, prompt and completion).

    `prompt` is what the judge was told, `completion` what it thought and its verdict. The judge said the same of the
    pair in both orders, and the label (with `confidence`) agrees. `shown`: ab where response a stood first.
    """

    prompt: tuple[ChatMessage, ...]
    completion: tuple[ChatMessage, ...]
    prompt_id: str
    judgment_id: str
    annotator_id: str
    response_a: str
    response_b: str
    shown: str
    outcome: str
    confidence: Probability
    iteration: int
