"""Sources of which nobody said what they are: every file of one is recognised, and all must be the same."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from curate.config.ingest import Source
from curate.config.project import Config
from curate.core.errors import CurateError
from curate.ingest.inputs import list_data_files
from curate.ingest.recognition.describe import join_sentences
from curate.ingest.recognition.entry import write_entry
from curate.ingest.recognition.recognize import Recognition, is_native, recognize_input
from curate.ingest.recognition.sample import locate_without_format, read_sample


def recognize_source(source: Source, config: Config) -> Recognition:
    """Recognise what a file, glob, folder or hub data set is.

    Args:
        source: What the user said of it; `format` is `auto` where that is nothing.
        config: The project's settings.

    Raises:
        CurateError: It cannot be read, or its files are of different shapes.
    """
    if says_nothing(source):
        source = source.model_copy(update={"format": "auto"})
    source = expand_folder(source, config)
    recognitions = [recognize_input(item, source, config) for item in locate_without_format(source, config)]
    first = next((item for item in recognitions if item.sample.rows), recognitions[0])
    for other in recognitions:
        if other.sample.rows and other.source != first.source:
            raise CurateError(
                f"{source.source}: {first.item.part} and {other.item.part} are of different shapes: name files of one "
                "shape at a time."
            )
    return first


def says_nothing(source: Source) -> bool:
    """Tell whether a source says neither `format` nor `fields`."""
    return source.format == "native" and not source.model_fields_set & {"format", "fields"}


def expand_folder(source: Source, config: Config) -> Source:
    """Return a folder of data files as the glob of its files.

    Raises:
        CurateError: Its files have several suffixes.
    """
    if "://" in source.source or not config.resolve(source.source).is_dir():
        return source
    patterns = list_data_files(config.resolve(source.source))
    if len(patterns) > 1:
        raise CurateError(
            f"{source.source} holds files of several kinds ({', '.join(sorted(patterns))}): name those that are meant, "
            f"for example {source.source.rstrip('/')}/{min(patterns)}."
        )
    return (
        source
        if not patterns
        else source.model_copy(update={"source": str(Path(source.source) / min(patterns))})
    )


def resolve_formats(sources: Sequence[Source], config: Config) -> list[Source]:
    """Return sources with their formats; one that says neither format nor fields is recognised.

    What is not recognised for certain stays native, as rows were read before shapes were recognised: its rows then go
    into quarantine with their reasons. A native source stays exactly as it is.

    Raises:
        CurateError: A source with `format: auto` is not recognised for certain.
    """
    return [_resolve_format(source, config) for source in sources]


def _resolve_format(source: Source, config: Config) -> Source:
    if source.kind != "responses" or not (says_nothing(source) or source.format == "auto"):
        return source
    native = source if says_nothing(source) else source.model_copy(update={"format": "native"})
    try:
        samples = [read_sample(item, size=20) for item in locate_without_format(source, config)]
    except CurateError:
        return native  # reading it says what is wrong
    if any(map(is_native, samples)) or not any(sample.rows for sample in samples):
        return native
    recognition = recognize_source(source, config)
    if (
        recognition.certainty == "certain"
        and recognition.source is not None
        and recognition.source.kind == "responses"
    ):
        return recognition.source
    if says_nothing(source):
        return native
    raise CurateError(explain_refusal(recognition))


def explain_refusal(recognition: Recognition) -> str:
    """Say in a sentence why an input is not taken in without a word of the user, and what to write."""
    if recognition.problems:
        reasons = join_sentences(recognition.problems)
    else:
        reasons = f"what it is, is likely and not certain ({'; '.join(recognition.doubts)})"
    sentence = f"{recognition.item.part}: {reasons}."
    if recognition.source is not None:
        entry = write_entry(recognition.source)
        sentence += f" The mapping so far, to be mended under `ingest` of curate.yaml:\n{entry}"
    return sentence.rstrip()
