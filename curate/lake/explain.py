"""Why a prompt's labels are what they are: its judgments, its pairs, and what was overruled.

with Lake.open(location, read_only=True) as reader:
    select_panel(reader, config.panel_names)
    explanation = explain(reader, find_prompt(reader, "q17"))
"""

from __future__ import annotations

from dataclasses import dataclass

from curate.core.errors import CurateError
from curate.core.resources import read_query
from curate.lake.lake import Lake

_LISTED = 5


@dataclass(frozen=True, slots=True)
class RankedResponse:
    """A response of the explained prompt, with its place."""

    response_id: str
    key: str | None
    model: str | None
    text: str
    rank: int | None
    score: float | None
    score_sd: float | None


@dataclass(frozen=True, slots=True)
class Statement:
    """One judgment. What it says of a and b is `outcome`; a rating has a `score`."""

    annotator: str
    kind: str
    form: str
    response_a: str | None
    response_b: str | None
    outcome: str
    shown: str | None
    p_a: float | None
    score: float | None
    sample: int
    rationale: str | None
    superseded: bool


@dataclass(frozen=True, slots=True)
class LabelledPair:
    """`dropped_weight` is evidence for the other side that the prompt's order overrules."""

    response_a: str
    response_b: str
    p_a: float
    outcome: str
    status: str
    confidence: float
    n_judgments: int
    reason: str | None
    dropped_weight: float

    @property
    def winner(self) -> str:
        """The better response; of a tie, the first in id order."""
        return self.response_b if self.outcome == "b" else self.response_a

    @property
    def loser(self) -> str:
        return self.response_a if self.outcome == "b" else self.response_b


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything about one prompt at the last iteration. `margin` and the like are None where nothing is aggregated."""

    prompt_id: str
    key: str | None
    question: str
    responses: list[RankedResponse]
    pairs: list[LabelledPair]
    statements: list[Statement]
    weight: float | None
    dropped_weight: float | None
    margin: float | None
    is_exact: bool | None
    is_unique: bool | None

    def place(self, response: str | None) -> str:
        """Return the number of a response in `responses`, from 1, as text."""
        ids = [ranked.response_id for ranked in self.responses]
        return f"#{ids.index(response) + 1}" if response in ids else "?"

    def votes(self, pair: LabelledPair) -> tuple[int, int, int]:
        """Count the pairwise judgments for the pair's winner, for its loser, and for a tie."""
        about = [
            statement.outcome
            for statement in self.statements
            if (statement.response_a, statement.response_b) == (pair.response_a, pair.response_b)
            and not statement.superseded
        ]
        won, lost = ("b", "a") if pair.outcome == "b" else ("a", "b")
        return about.count(won), about.count(lost), about.count("tie")

    @property
    def order(self) -> str:
        """One sentence on the prompt's order."""
        if self.weight is None or self.dropped_weight is None:
            return "Nothing has been aggregated about this prompt yet: run `curate aggregate`."
        if not self.dropped_weight:
            return "The judgments fit one order; nothing was overruled."
        how = "no order overrules less" if self.is_exact else "a local optimum"
        more = "" if self.margin is None else f", the next best overrules {self.margin:.3g} more"
        alone = (
            ""
            if self.is_unique or not self.is_exact
            else "; other orders overrule as little, and there it is a tie"
        )
        return (
            f"The judgments contradict each other: {self.dropped_weight:.3g} of {self.weight:.3g} of their weight is "
            f"overruled ({how}{more}{alone})."
        )


def find_prompt(reader: Lake, name: str) -> str:
    """The id of the prompt called `name`: its id, the beginning of its id (4 characters or more), or its key."""
    candidates = reader.rows(read_query("explain_prompts"), [name])
    exact = [prompt for prompt, _, is_exact in candidates if is_exact]
    fitting = exact or [prompt for prompt, _, _ in candidates]
    if len(fitting) == 1:
        return str(fitting[0])
    if not fitting:
        raise CurateError(
            f"There is no prompt {name!r}: give a prompt's id, at least the first 4 characters of it, or its key "
            '(`curate sql "SELECT prompt_id, key FROM prompts"` lists them).'
        )
    some = ", ".join(fitting[:_LISTED]) + (", …" if len(fitting) > _LISTED else "")
    raise CurateError(f"{name!r} may mean {len(fitting)} prompts: give one of the ids {some}.")


def explain_prompt(reader: Lake, prompt_id: str) -> Explanation:
    """`reader` has the views of `select_panel`."""
    key, question = reader.rows(
        'SELECT "key", memory.content_text(messages[-1].content) FROM prompts WHERE prompt_id = ?',
        [prompt_id],
    )[0]
    graph = []
    if reader.has("graphs"):
        graph = reader.rows(
            "SELECT weight, dropped_weight, margin, is_exact, is_unique FROM graphs WHERE prompt_id = ? "
            "ORDER BY iteration DESC LIMIT 1",
            [prompt_id],
        )
    return Explanation(
        prompt_id,
        key,
        question,
        [RankedResponse(*row) for row in reader.rows(read_query("explain_responses"), [prompt_id])],
        [LabelledPair(*row) for row in reader.rows(read_query("explain_pairs"), [prompt_id])],
        [Statement(*row) for row in reader.rows(read_query("explain_judgments"), [prompt_id])],
        *(graph[0] if graph else (None,) * 5),
    )
