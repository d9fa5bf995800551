"""The vocabulary of `curate`: one pydantic model per table of the lake, and its Arrow schema."""

from __future__ import annotations

import types
import typing
from typing import Annotated, Any, Literal

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, field_validator

from curate.core.human_forms import AskedAs
from curate.core.identity import content_id

Kind = Literal[
    "llm", "reward-model", "rule", "reference", "implicit", "verifier", "meta", "human", "imported"
]
Form = Literal["pairwise", "pointwise", "listwise"]
Outcome = Literal["a", "b", "tie", "abstain", "failed"]
Shown = Literal["ab", "ba"]
TiedAs = Literal["both-good", "both-bad"]
Role = Literal["system", "developer", "user", "assistant", "tool"]
Status = Literal["accepted", "routed", "verified", "discarded", "flipped"]
Probability = Annotated[float, Field(ge=0.0, le=1.0)]


class Record(BaseModel):
    """A row that cannot be changed and has no unknown columns."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Part(Record):
    """One piece of a message: text, or an image, video or sound by address and digest (never by bytes)."""

    type: Literal["text", "image", "video", "audio"] = "text"
    text: str | None = None
    uri: str | None = None
    sha256: str | None = None
    mime_type: str | None = None


class ToolCall(Record):
    """A call of a tool by the assistant. `arguments` is JSON text in the form of `conversation.normalize_arguments`."""

    id: str | None = None
    name: str
    arguments: str


class Message(Record):
    """One message of a conversation, in a prompt as in a response.

    Attributes:
        role: Who speaks. `tool` is the result of the call `tool_call_id` of the tool `name`.
        content: What is said.
        reasoning: What the assistant thought before it, kept apart from the answer.
        tool_calls: The tools that the assistant calls after it.
        tool_call_id: The call that a message of the role `tool` answers.
        name: Name of the tool, or of the speaker where several share a role.
        is_target: Whether training learns from the message and judges judge it; null: as its role says (the
            assistant's messages of a response, and nothing of a prompt).
    """

    role: Role
    content: tuple[Part, ...] = ()
    reasoning: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    name: str | None = None
    is_target: bool | None = None

    @field_validator("tool_calls", mode="before")
    @classmethod
    def _read_null_as_none(cls, value: object) -> object:
        return () if value is None else value


class Prompt(Record):
    """A question to models: the conversation that they go on with.

    `key` is the caller's own id; `meta` is a JSON object as text; `tools` is a JSON array as text: the JSON Schemas of
    the tools that models may call. `part` names the input that brought the row, as `runs.part` does; null in a lake
    from before it was kept.
    """

    prompt_id: str
    messages: tuple[Message, ...]
    source: str
    split: str | None = None
    reference: str | None = None
    key: str | None = None
    meta: str | None = None
    tools: str | None = None
    part: str | None = None


class Response(Record):
    """An answer of a model: usually one message of the assistant, or a trajectory of calls, results and turns."""

    response_id: str
    prompt_id: str
    model: str | None = None
    key: str | None = None
    meta: str | None = None
    messages: tuple[Message, ...]
    part: str | None = None


class Judgment(Record):
    """One statement by one annotator about responses of one prompt; never changed, and only `curate forget` deletes it.

    `response_a < response_b` always (canonical id order); `shown` says in which order the annotator saw
    them, and is null where order has no meaning. `outcome` and `p_a` speak of a and b, not of positions.

    A pointwise judgment is about `response_a` alone: its rating is `score`, with standard deviation `score_sd`
    where the annotator gives a distribution. A listwise one is about `listed`, the responses in the order shown;
    `scores` are theirs, place by place (equal ones are ties), or `ranking` names them from best to worst.
    Both have the outcome "a" where there is a rating or ranking at all.
    `supersedes` names an earlier judgment that this one takes the place of: a person's second thought (an
    "abstain" takes it back). The superseded row stays, and no longer counts.
    `aspect` names the one criterion that the judgment is about; such judgments are kept, and do not count for labels.
    `tied_as` keeps what a tie says of both responses. An imported pairwise judgment has its margin in `score`; a
    person's has how much better a is (1 slightly, 2, 3 much; below 0: b).
    `part` names the input of an imported one. `asked_as` is the form in which `curate verify` asked a person.
    """

    judgment_id: str
    prompt_id: str
    annotator_id: str
    kind: Kind
    form: Form
    response_a: str | None = None
    response_b: str | None = None
    shown: Shown | None = None
    outcome: Outcome
    p_a: Probability | None = None
    score: float | None = None
    ranking: tuple[str, ...] | None = None
    rationale: str | None = None
    raw: str | None = None
    revision: str
    sample: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0
    run_id: str
    score_sd: float | None = None
    listed: tuple[str, ...] | None = None
    scores: tuple[float, ...] | None = None
    supersedes: str | None = None
    aspect: str | None = None
    tied_as: TiedAs | None = None
    part: str | None = None
    asked_as: AskedAs | None = None


class Preference(Record):
    """The panel's label of one pair at one iteration of the loop."""

    prompt_id: str
    response_a: str
    response_b: str
    p_a: Probability
    strength: float
    outcome: Literal["a", "b", "tie"]
    status: Status
    confidence: Probability
    n_judgments: int
    dropped_weight: float
    reason: str | None = None
    iteration: int
    run_id: str


class Ranking(Record):
    """The place of one response among those of its prompt; rank 1 is the best, and ties share a rank."""

    prompt_id: str
    response_id: str
    rank: int
    score: float
    score_sd: float | None = None
    iteration: int
    run_id: str


class AspectPreference(Record):
    """The label of one pair in one aspect alone, from the judgments about it; the columns are a preference's."""

    prompt_id: str
    response_a: str
    response_b: str
    aspect: str
    p_a: Probability
    strength: float
    outcome: Literal["a", "b", "tie"]
    status: Status
    confidence: Probability
    n_judgments: int
    run_id: str


class AspectRanking(Record):
    """The place of one response among those of its prompt in one aspect alone."""

    prompt_id: str
    response_id: str
    aspect: str
    rank: int
    score: float
    score_sd: float | None = None
    run_id: str


class DroppedArc(Record):
    """Evidence that the denoised order contradicts: `winner` beat `loser` by `weight`, and was overruled."""

    prompt_id: str
    winner: str
    loser: str
    weight: float
    iteration: int
    run_id: str


class Annotator(Record):
    """Statistics of one annotator in one aggregation; `trust`: weight of a person's word among people's, 0.1 to 1."""

    annotator_id: str
    kind: Kind
    ability: float | None = None
    position_bias: float | None = None
    tie_rate: float | None = None
    length_bias: float | None = None
    calibration_error: float | None = None
    agreement: float | None = None
    failure_rate: float | None = None
    n: int
    iteration: int
    run_id: str
    trust: float | None = None


class Graph(Record):
    """The graph of a prompt's judgments and its order: `weight` of all arcs, `dropped_weight` of those against it.

    `margin` is what the next best order would drop more (null where it is not known or there is no arc); `is_exact`:
    no order drops less; `is_unique`: and no other order drops as little.
    """

    prompt_id: str
    responses: int
    pairs: int
    weight: float
    dropped_weight: float
    margin: float | None = None
    is_exact: bool
    is_unique: bool
    iteration: int
    run_id: str


class Guarantee(Record):
    """The promise about the accepted labels of one stratum ("all": there is only one).

    Of the stratum's `pairs` (those that the panel decides and that people have not), `accepted` have at least the
    confidence `threshold` (null: none has). People labelled `labels` of them at random, `tested` of these above the
    threshold, and disagreed with `errors`; with confidence 1 - `delta` the rate among all accepted is at most
    `upper`, and `upper` at most `alpha`. `labels_needed`: how many more labels would likely do (0: enough; null: more
    would not help).
    """

    stratum: str
    pairs: int
    accepted: int
    threshold: float | None = None
    alpha: Probability
    delta: Probability
    labels: int
    tested: int
    errors: int
    upper: Probability | None = None
    labels_needed: int | None = None
    iteration: int
    run_id: str


class Assessment(Record):
    """The labels of one aggregation held against people's; one row an iteration.

    `claim` says it in words. `labels` pairs have a verdict of people, of which the annotator model learnt from
    `learnt` and `tested` were kept from it; `drawn` says whether these are known to be a random draw. `error` is the
    estimated share of all `pairs` with another winner than people's, with its interval at confidence 1 - `delta`.
    `ece` is the expected calibration error after `calibration` (measured out of fold), `ece_before` without. The
    three lists are the reliability diagram: mean confidence, share right and number of labels of each bin. `is_final`
    marks the label set that exports take, and `final_reason` says why.
    """

    holds: bool
    claim: str
    delta: Probability | None = None
    labels: int
    learnt: int
    tested: int
    drawn: bool
    pairs: int
    accepted: int
    error: Probability | None = None
    error_low: Probability | None = None
    error_high: Probability | None = None
    calibration: str
    ece_before: Probability | None = None
    ece: Probability | None = None
    bin_confidence: tuple[float, ...] = ()
    bin_accuracy: tuple[float, ...] = ()
    bin_count: tuple[int, ...] = ()
    iteration: int
    run_id: str
    is_final: bool | None = None
    final_reason: str | None = None


class GuaranteeTest(Record):
    """The test of one revision of a label set's labels, for a guarantee that holds at every look.

    `identity` is a hash of what is promised ("" once the revision has retired); its labels are the rows of the table
    `tested_labels`. The label set may use `share` of delta; the revision started with `wealth` of it, and hands on the
    factor `remains` at most. It learnt from `learnt` labels of people; `tested` others have tested it in `looks` looks,
    of which `errors` disagree. `lead` is the factor by which its wealth has grown on the strictest thresholds without a
    promise; `holds`: some threshold has one.
    """

    revision: int
    identity: str
    share: Probability
    wealth: Probability
    remains: Probability
    lead: float
    looks: int
    learnt: int
    tested: int
    errors: int
    holds: bool
    iteration: int
    run_id: str


class TestedLabel(Record):
    """A label under test, as it was when the test began: `direction` is 1 (a is better), -1 (b) or 0 (a tie)."""

    __test__ = False  # nothing for pytest

    prompt_id: str
    response_a: str
    response_b: str
    direction: int
    p_a: Probability
    stratum: str
    revision: int
    iteration: int
    run_id: str


class LabelUse(Record):
    """The use of one label of people: `learn` (the revision learnt from it) or `test`.

    `agrees`: 1 where it agrees with the revision's label, -1 where it disagrees, 0 where it does not count; `place` is
    its place in the order of the test.
    """

    prompt_id: str
    response_a: str
    response_b: str
    use: Literal["learn", "test"]
    agrees: int
    place: int
    revision: int
    iteration: int
    run_id: str


class VerifyTask(Record):
    """Something to ask people: planned by `curate verify plan`, asked wherever people answer, each once.

    `strategy` says why it was chosen; "random" ones are drawn with `probability` from everything that could have
    been asked, blind to what anybody says of it: calibration and the guarantee stand on them alone.
    `responses`: two for a pair (in canonical order), one for a pointwise task, all of them for a listwise one.
    `asked_as`: the form that people see (null in queues from before: that of `form` and `verify.pointwise`); `aspect`:
    the one criterion that is asked about (null: the responses as a whole).
    """

    task_id: str
    prompt_id: str
    form: Form
    responses: tuple[str, ...]
    strategy: str
    purpose: Literal["label", "gold", "repeat", "adjudicate"] = "label"
    priority: float = 0.0
    probability: Probability | None = None
    run_id: str
    asked_as: AskedAs | None = None
    aspect: str | None = None


class Quarantined(Record):
    """A row that was not taken in: where it stood, why, and the row itself as far as it could be read."""

    quarantine_id: str
    source: str
    line: int | None = None
    reason: str
    raw: str | None = None
    run_id: str


class FilterDecision(Record):
    """Decision of a filter about a prompt, a response or a pair: to `drop` it, to `mask` it, or only to `report` it.

    What a filter routes to people stays out (`route`) until they let it `pass`, or `drop` it.
    `item_id` of a pair is the ids of its responses with a blank between them; exports of pairs leave it out.
    `other`: the prompt, response or benchmark that it repeats, or the personal data in it by their forms and the names
    of people; `score`: how alike they are, or what was measured.
    """

    filter: str
    revision: str
    target: Literal["prompt", "response", "pair"]
    item_id: str
    prompt_id: str
    action: Literal["drop", "report", "mask", "route", "pass"]
    reason: str
    score: float | None = None
    other: str | None = None
    run_id: str


class InputSource(Record):
    """An input that was taken in (`part`), the name of its data set, and the terms that curate.yaml states for it.

    `license` is an SPDX identifier or a name of the hub; `origin` says where the data comes from.
    """

    part: str
    source: str
    license: str | None = None
    origin: str | None = None
    run_id: str


class Repeat(Record):
    """A prompt, response or judgment (`id`) that the input `part` brought when another input had brought it before.

    It holds the columns that would be the row's own if the other input had never been, for `curate forget source`.
    """

    id: str
    part: str
    source: str | None = None
    split: str | None = None
    meta: str | None = None
    run_id: str


class Forgotten(Record):
    """The trace of a row that `curate forget` removed: a hash of its id, and no content.

    `kind` "row" is for receipts. "source", "prompt", "key" and "person" keep `curate ingest` and `curate verify` from
    taking the same in again.
    """

    kind: Literal["row", "source", "prompt", "key", "person"]
    digest: str
    run_id: str


class Evaluation(Record):
    """One line of a score table: a metric of a model or panel on (a subset of) a benchmark, with its interval."""

    subject: str
    benchmark: str
    subset: str
    metric: str
    value: float
    low: float | None = None
    high: float | None = None
    n: int
    run_id: str


class RubricCriterion(Record):
    """A criterion of a rubric; `criterion_id` identifies what a verifier reads of it (not its weight)."""

    criterion_id: str
    name: str
    text: str
    kind: Literal["hard", "principle", "feature"]
    weight: float
    reason: str | None = None
    feature: str | None = None
    scale: float | None = None
    examples: tuple[str, ...] = ()


class RubricRow(Record):
    """A rubric as it was written: `revision` identifies its criteria, their order and weights.

    `prompt_id`: the one prompt that it is for; `origin`: the method that wrote it; `details` is a JSON object: pairs it
    was learnt from, criteria proposed and dropped by reason, and what the method adds.
    """

    revision: str
    name: str
    version: int
    about: str | None = None
    aspect: str | None = None
    prompt_id: str | None = None
    sources: tuple[str, ...] = ()
    criteria: tuple[RubricCriterion, ...]
    origin: str
    details: str = "{}"
    run_id: str


class CriterionVerdict(Record):
    """Verdict of an annotator on one criterion of one response, given without sight of any label.

    `p_satisfied`: probability that the sentence is true, where the annotator gives one; `value`: the measure of a
    feature. "abstain": it cannot be said of this response. "failed": `raw` has what came back.
    `revision` is the annotator's, as in `judgments`.
    """

    verdict_id: str
    criterion_id: str
    criterion: str
    prompt_id: str
    response_id: str
    annotator_id: str
    kind: Kind
    outcome: Literal["satisfied", "violated", "abstain", "failed"]
    p_satisfied: Probability | None = None
    value: float | None = None
    rationale: str | None = None
    raw: str | None = None
    revision: str
    sample: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0
    run_id: str


class RubricCall(Record):
    """A request to a model while criteria were extracted, and its answer in `raw`.

    `call_id` identifies the request and the model, so that an answer is paid for once; a failed one has an id of its
    own, and its `reason`. `step` is the step of a method; `prompt_ids` are the prompts that it was about.
    """

    call_id: str
    rubric: str
    step: str
    prompt_ids: tuple[str, ...]
    outcome: Literal["answered", "failed"]
    reason: str | None = None
    raw: str | None = None
    revision: str
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0
    run_id: str


class Run(Record):
    """One committed chunk of a stage run; `rows_in = rows_kept + rows_duplicate + rows_dropped` always.

    `fingerprint` identifies the work (configuration and input), so that done work is recognised;
    `details` is a JSON object: reasons of dropped rows with counts, and whatever the stage adds.
    Times are UTC, ISO 8601.
    """

    run_id: str
    stage: str
    part: str
    chunk: int
    fingerprint: str
    config_hash: str
    code_version: str
    snapshot_in: int
    rows_in: int
    rows_kept: int
    rows_duplicate: int
    rows_dropped: int
    tokens_in: int
    tokens_out: int
    cost: float
    seconds: float
    status: Literal["chunk", "done", "failed"]
    details: str
    started_at: str
    finished_at: str


TABLES: dict[str, type[Record]] = {
    "prompts": Prompt,
    "responses": Response,
    "judgments": Judgment,
    "preferences": Preference,
    "rankings": Ranking,
    "aspect_preferences": AspectPreference,
    "aspect_rankings": AspectRanking,
    "dropped_arcs": DroppedArc,
    "annotators": Annotator,
    "graphs": Graph,
    "guarantees": Guarantee,
    "assessments": Assessment,
    "guarantee_tests": GuaranteeTest,
    "tested_labels": TestedLabel,
    "label_uses": LabelUse,
    "verify_tasks": VerifyTask,
    "quarantine": Quarantined,
    "filter_decisions": FilterDecision,
    "sources": InputSource,
    "repeats": Repeat,
    "forgotten": Forgotten,
    "evaluations": Evaluation,
    "rubrics": RubricRow,
    "criterion_verdicts": CriterionVerdict,
    "rubric_calls": RubricCall,
    "runs": Run,
}

_SCALARS: dict[object, pa.DataType] = {
    str: pa.string(),
    float: pa.float64(),
    int: pa.int64(),
    bool: pa.bool_(),
}


def _arrow_type(annotation: Any) -> pa.DataType:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        return _arrow_type(arguments[0])
    if origin is Literal:
        return pa.string()
    if origin in (types.UnionType, typing.Union):
        (only,) = (argument for argument in arguments if argument is not type(None))
        return _arrow_type(only)
    if origin is tuple:
        return pa.list_(_arrow_type(arguments[0]))
    if origin is dict:
        return pa.json_()
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return pa.struct(list(arrow_schema(annotation)))
    return _SCALARS[annotation]


def arrow_schema(record: type[BaseModel]) -> pa.Schema:
    """The Arrow schema of a record type: the column order and types of its table in the lake."""
    return pa.schema(
        [pa.field(name, _arrow_type(info.annotation)) for name, info in record.model_fields.items()]
    )


def text_parts(value: str) -> tuple[Part, ...]:
    """Plain text as message content."""
    return (Part(type="text", text=value),)


def plain_text(content: typing.Iterable[Part]) -> str:
    """The text of some content, with a mark where an image, video or sound stands."""
    return "\n".join(map(_part_text, content))


def _part_text(part: Part) -> str:
    if part.text is not None:
        return part.text
    has_address = part.uri is not None and not part.uri.startswith(
        "data:"
    )  # which would be the medium itself
    return f"[{part.type} {part.uri}]" if has_address else f"[{part.type}]"


def prompt_id(
    messages: typing.Sequence[Message], *, key: str | None, reference: str | None, tools: str | None = None
) -> str:
    """The reference is part of a prompt's identity, because judges that read it would answer differently."""
    fields = [key, reference, [message_identity(message) for message in messages]]
    return content_id(*fields) if tools is None else content_id(*fields, tools)


def response_id(
    prompt: str, messages: typing.Sequence[Message], *, key: str | None, model: str | None
) -> str:
    """A response of one plain message of the assistant has the identity of its content, as before messages."""
    identities = [message_identity(message) for message in messages]
    is_plain = len(messages) == 1 and messages[0].role == "assistant" and len(identities[0]) == 2
    return content_id(prompt, key, model, identities[0][1] if is_plain else identities)


def message_identity(message: Message) -> list[object]:
    """Return what tells a message from another one, for `content_id`: [role, parts], and an object of what else it has.

    Text counts byte by byte: it is not normalised, since a tokenizer tells two spellings of a letter apart too.
    """
    identity: list[object] = [message.role, [_part_identity(part) for part in message.content]]
    further = {
        "reasoning": message.reasoning,
        "tool_calls": [[call.id, call.name, call.arguments] for call in message.tool_calls] or None,
        "tool_call_id": message.tool_call_id,
        "name": message.name,
        "is_target": message.is_target,
    }
    present = {name: value for name, value in further.items() if value is not None}
    return [*identity, present] if present else identity


def _part_identity(part: Part) -> list[str | None]:
    identity = [part.type, part.text, part.uri, part.sha256]
    return identity if part.mime_type is None else [*identity, part.mime_type]


def judgment_id(
    *,
    prompt: str,
    annotator: str,
    revision: str,
    form: Form,
    responses: typing.Sequence[str],
    shown: Shown | None = None,
    sample: int = 0,
    aspect: str | None = None,
) -> str:
    """Identifies a question put to an annotator, so that its answer is paid for once.

    `responses`: (a, b) in canonical order for pairwise, one for pointwise, all that were shown for listwise.
    """
    fields = [prompt, annotator, revision, form, list(responses), shown, sample]
    return content_id(*fields) if aspect is None else content_id(*fields, aspect)


def verdict_id(
    *,
    criterion: str,
    response: str,
    annotator: str,
    revision: str,
    sample: int = 0,
    failed_run: str | None = None,
) -> str:
    """Identifies a question about one criterion of one response, so that its answer is paid for once.

    `criterion` is a `criterion_id`. A failed attempt names its run in `failed_run`, and the question stays open.
    """
    fields = ["verdict", criterion, response, annotator, revision, sample]
    return content_id(*fields) if failed_run is None else content_id(*fields, failed_run)
