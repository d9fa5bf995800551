"""`curate certify`: one document that says what is promised about a set of labels, on what ground, with what limits."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from curate import __version__
from curate.config.project import Config
from curate.core.atomic import atomic_file, refuse_overwrite
from curate.core.errors import CurateError
from curate.core.resources import read_query
from curate.lake.lake import Lake
from curate.lake.panel_view import select_panel
from curate.lake.runs import StageRun, Summary
from curate.records import Probability, Record
from curate.stats.reliability import measure_quality

LIMITS = (
    "The promise is about the labels as a whole: it does not say which of them are wrong.",
    "It says nothing of other prompts, other responses, or other people than those who were asked.",
    "People's verdicts are taken as right; where people differ among themselves, no label can agree with all of them.",
)


class CertifiedSet(Record):
    """The certified labels: a label set at a snapshot. `digest` identifies its rows, `exports` has the filters."""

    snapshot: int
    iteration: int
    prompts: int
    pairs: int
    accepted: int
    verified: int
    digest: str
    sources: tuple[str, ...]
    exports: tuple[dict[str, Any], ...] = ()


class CertifiedJudge(Record):
    """An annotator that voted, in the revision that counted."""

    annotator_id: str
    kind: str
    revision: str
    judgments: int


class CertifiedPerson(Record):
    """A person by pseudonym: answers, and how many of them agree with others' verdict on the same pairs."""

    annotator_id: str
    answers: int
    agreed: int
    compared: int


class Agreement(Record):
    """Krippendorff's alpha among people with its 95 % interval; null where no pair has two verdicts."""

    alpha: float | None = None
    low: float | None = None
    high: float | None = None
    pairs: int = 0


class SampleDesign(Record):
    """The draw of the labels that tested: `random`, or `taken-for-random` where nobody planned them."""

    sample: Literal["random", "taken-for-random"]
    seed: int
    labels: int
    learnt: int
    tested: int
    looks: Literal["any", "one"] | None
    look: int | None = None
    revision: int | None = None
    ties: Literal["ignore", "disagree"] | None = None


class CertifiedStratum(Record):
    """The promise for one stratum, as in the table `guarantees`."""

    stratum: str
    pairs: int
    accepted: int
    threshold: Probability | None
    tested: int
    errors: int
    upper: Probability | None


class PromptMix(Record):
    """Number of labelled prompts by category, and by length (⌊log₂(1 + characters)⌋)."""

    category: dict[str, int]
    length: dict[str, int]


class Certificate(Record):
    """The promise about a set of labels with its grounds.

    `hash` is BLAKE2b-128 of the document's JSON without it, with sorted keys and no spaces.
    """

    curate_certificate: Literal[1] = 1
    made_at: str
    made_by: str
    config_hash: str
    holds: bool
    claim: str
    alpha: Probability | None
    delta: Probability | None
    strata: tuple[CertifiedStratum, ...]
    error: Probability | None
    error_low: Probability | None
    error_high: Probability | None
    set: CertifiedSet
    judges: tuple[CertifiedJudge, ...]
    annotator_model: str
    calibration: str
    design: SampleDesign
    people: tuple[CertifiedPerson, ...]
    agreement: Agreement
    mix: PromptMix
    warnings: tuple[str, ...]
    limits: tuple[str, ...] = LIMITS
    hash: str = Field("", pattern="^([0-9a-f]{32})?$")


def certify(lake: Lake, config: Config, path: Path, *, force: bool = False) -> Summary:
    """Write the certificate of the newest labels to a file, and its hash to the table `runs`.

    Args:
        lake: A lake with labels.
        config: The project.
        path: The file to write.
        force: Overwrite a file that is no certificate.

    Raises:
        CurateError: There are no labels, or the file is somebody else's.
    """
    if path.exists() and not force:
        try:
            read_certificate(path)
        except CurateError:
            refuse_overwrite(path, force=False)
    certificate = build_certificate(lake, config)
    with atomic_file(path) as draft:
        draft.write_text(certificate.model_dump_json(indent=2) + "\n", encoding="utf-8")
    run = StageRun(lake, "certify", config_hash=config.digest)
    with run.chunk("certificate", fingerprint=certificate.hash, status="done") as (_, counts):
        counts.rows_in = counts.rows_kept = certificate.set.pairs
        counts.details |= {"hash": certificate.hash, "snapshot": certificate.set.snapshot}
    return run.summary(note=f"{path} ({certificate.hash}): {certificate.claim}")


def build_certificate(lake: Lake, config: Config) -> Certificate:
    """Build the certificate of the newest label set with an assessment. Raises CurateError where there is none."""
    iteration = lake.value("SELECT assessed FROM final_iteration") if lake.has("assessments") else None
    if iteration is None:
        raise CurateError("There are no labels to certify yet: run `curate aggregate` first.")
    assessed = lake.frame("SELECT * FROM assessments WHERE iteration = ?", [iteration]).row(0, named=True)
    asked, quality = config.aggregate.guarantee, measure_quality(lake)
    nominal = quality.alpha.get("all") if quality.people else None
    certificate = Certificate(
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        made_by=f"curate {__version__}",
        config_hash=config.digest,
        holds=assessed["holds"],
        claim=assessed["claim"],
        alpha=None if asked is None else asked.alpha,
        delta=None if asked is None else asked.delta,
        strata=tuple(
            CertifiedStratum(**row)
            for row in lake.frame(
                "SELECT stratum, pairs, accepted, threshold, tested, errors, upper FROM guarantees "
                "WHERE iteration = ? ORDER BY stratum",
                [iteration],
            ).to_dicts()
        ),
        error=assessed["error"],
        error_low=assessed["error_low"],
        error_high=assessed["error_high"],
        set=_describe_set(lake, config, iteration),
        judges=read_judges(lake, config),
        annotator_model=_read_annotator_model(lake, iteration),
        calibration=assessed["calibration"],
        design=_describe_design(lake, config, iteration, assessed),
        people=tuple(
            CertifiedPerson(
                annotator_id=person.annotator_id,
                answers=person.answers,
                agreed=person.peers.right,
                compared=person.peers.n,
            )
            for person in quality.people
        ),
        agreement=Agreement()
        if nominal is None or math.isnan(nominal.value)
        else Agreement(
            alpha=round(nominal.value, 6),
            low=round(nominal.low, 6),
            high=round(nominal.high, 6),
            pairs=nominal.n,
        ),
        mix=read_mix(lake, iteration),
        warnings=tuple(sentence for (sentence,) in lake.rows(read_query("doubts"))),
    )
    return certificate.model_copy(update={"hash": hash_certificate(certificate)})


def read_certificate(path: Path) -> Certificate:
    """Read a certificate. Raises CurateError where it is none, or was changed after it had been made."""
    try:
        certificate = Certificate.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValidationError, UnicodeDecodeError) as error:
        raise CurateError(
            f"{path} is not a certificate of curate: make one with `curate certify`."
        ) from error
    if certificate.hash != hash_certificate(certificate):
        raise CurateError(f"{path} was changed after it had been made: its hash is another one.")
    return certificate


def hash_certificate(certificate: Certificate) -> str:
    """Hash all of a certificate but its hash: BLAKE2b-128, 32 hex digits."""
    document = certificate.model_dump(mode="json", exclude={"hash"})
    text = json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return blake2b(text.encode(), digest_size=16).hexdigest()


def read_judges(lake: Lake, config: Config) -> tuple[CertifiedJudge, ...]:
    """Read the annotators whose judgments count, without people."""
    select_panel(lake, config.panel_names)
    rows = lake.rows(read_query("certificate_judges"))
    return tuple(
        CertifiedJudge(annotator_id=name, kind=kind, revision=revision, judgments=n)
        for name, kind, revision, n in rows
    )


def read_mix(lake: Lake, iteration: int) -> PromptMix:
    """Count the labelled prompts by category and by length."""
    category: dict[str, int] = {}
    length: dict[str, int] = {}
    for name, size, prompts in lake.rows(read_query("certificate_mix"), [iteration]):
        category[str(name)] = category.get(str(name), 0) + prompts
        length[str(size)] = length.get(str(size), 0) + prompts
    return PromptMix(category=category, length=length)


def _describe_set(lake: Lake, config: Config, iteration: int) -> CertifiedSet:
    prompts, pairs, accepted, verified = lake.rows(
        "SELECT count(DISTINCT prompt_id), count(*), count(*) FILTER (status IN ('accepted', 'flipped')), "
        "count(*) FILTER (status = 'verified') FROM preferences WHERE iteration = ?",
        [iteration],
    )[0]
    sources = lake.rows("SELECT DISTINCT source FROM prompts ORDER BY 1")
    return CertifiedSet(
        snapshot=lake.snapshot(),
        iteration=iteration,
        prompts=prompts,
        pairs=pairs,
        accepted=accepted,
        verified=verified,
        digest=lake.digest(
            "preferences",
            "row(prompt_id, response_a, response_b, outcome, status)",
            f"iteration = {iteration}",
        ),
        sources=tuple(source for (source,) in sources),
        exports=tuple(entry.model_dump(mode="json") for entry in config.export),
    )


def _read_annotator_model(lake: Lake, iteration: int) -> str:
    query = (
        "SELECT arg_max(json_extract_string(details, '$.annotator_model'), (snapshot_in, finished_at)) "
        "FILTER (stage = 'aggregate' AND part = ? AND status = 'done') FROM runs"
    )
    return str(lake.value(query, [f"iteration-{iteration}"]))


def _describe_design(lake: Lake, config: Config, iteration: int, assessed: Mapping[str, Any]) -> SampleDesign:
    asked = config.aggregate.guarantee
    rows = lake.rows(read_query("guarantee_test"), [iteration]) if lake.has("guarantee_tests") else []
    return SampleDesign(
        sample="random" if assessed["drawn"] else "taken-for-random",
        seed=config.verify.plan.seed,
        labels=assessed["labels"],
        learnt=assessed["learnt"],
        tested=assessed["tested"],
        looks=None if asked is None else asked.looks,
        revision=rows[0][0] if rows else None,
        look=rows[0][6] if rows else None,
        ties=None if asked is None else asked.ties,
    )
