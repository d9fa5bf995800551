"""What counts as a secret, and that it is replaced in texts, errors, log lines and tables in every spelling."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
import pytest

from curate.core import secrets
from curate.core.errors import CurateError
from curate.core.log_scrubbing import format_traceback, install_log_scrubber, scrub_errors
from curate.core.secrets import MASK, is_secret_name, register_config_secrets, scrub_text
from curate.lake.scrub import scrub_columns, scrub_rows

SECRET = 'sk-PLANTED/"1<é'


@pytest.fixture(autouse=True)
def planted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_registered", set())
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)


@pytest.mark.parametrize(
    "name",
    ["OPENAI_API_KEY", "HF_TOKEN", "PGPASSWORD", "dbPassword", "AWS_SECRET_ACCESS_KEY", "x-api-key", "SENTRY_DSN",
     "LABEL_STUDIO_API_KEY", "Authorization", "GITHUB_PAT", "MY_CREDENTIALS", "SLACK_WEBHOOK_URL"],
)  # fmt: skip
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "PATH",
        "PWD",
        "TOKENIZERS_PARALLELISM",
        "max_tokens",
        "pad_token",
        "api_key_env",
        "HOME",
        "KEY_FILE",
        "model",
    ],
)
def test_other_names(name: str) -> None:
    assert not is_secret_name(name)


def test_every_spelling_is_replaced() -> None:
    for spelling in (
        SECRET,
        json.dumps(SECRET),
        repr(SECRET),
        quote(SECRET, safe=""),
        json.dumps({"a": json.dumps(SECRET)}),
    ):
        assert "PLANTED" not in scrub_text(f"before {spelling} after")
    assert scrub_text(f"a {SECRET} b") == f"a {MASK} b"


def test_passwords_of_addresses_are_replaced_even_if_they_are_words() -> None:
    assert scrub_text("postgresql://me:postgres@db/lake") == f"postgresql://me:{MASK}@db/lake"
    assert scrub_text("host=db password=curate port=1") == f"host=db password={MASK} port=1"
    assert (
        scrub_text("https://:tok@h/ and http://a.b/c?d=e@f") == f"https://:{MASK}@h/ and http://a.b/c?d=e@f"
    )


def test_plain_words_and_paths_stay(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("POSTGRES_PASSWORD", "postgres")
    monkeypatch.setenv("SOME_TOKEN", "true")
    monkeypatch.setenv("GOOGLE_CREDENTIALS", str(tmp_path))
    text = f"postgres is true at {tmp_path}"
    assert scrub_text(text) == text


def test_the_configuration_names_secrets_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENDPOINT_SEVEN", "zeta-77-value")
    monkeypatch.setenv("LAKE_WORD", "p@ss w0rd!")
    register_config_secrets(
        {
            "lake": {"catalog": "postgresql://me:${LAKE_WORD}@db/x"},
            "engines": {
                "e": {
                    "api_key_env": "ENDPOINT_SEVEN",
                    "extra": {"headers": {"Authorization": "Bearer tok-99-abc"}},
                }
            },
            "ingest": [{"fields": {"key": "question_id_7"}}],
            "verify": {"url": "https://me:h0rse-battery@studio"},
        }
    )
    for secret in ("zeta-77-value", "p@ss w0rd!", "tok-99-abc", "h0rse-battery"):
        assert scrub_text(f"x{secret}x") == f"x{MASK}x"
    assert scrub_text("question_id_7") == "question_id_7"


def open_nothing() -> None:
    raise FileNotFoundError(2, "no such file or directory", SECRET)


def test_errors_and_their_causes_hold_no_secret() -> None:
    assert SECRET not in str(CurateError(f"The server said {SECRET}."))
    with pytest.raises(ValueError, match="secret") as caught, scrub_errors():
        try:
            open_nothing()
        except OSError as error:
            error.add_note(SECRET)
            raise ValueError(f"saw {SECRET}") from error
    assert "PLANTED" not in format_traceback(caught.value).replace(__file__, "").split("with pytest")[0]
    assert "PLANTED" not in str(caught.value.__cause__)


def test_log_lines_hold_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    install_log_scrubber()
    logging.getLogger("some.library").warning("key %s in %r", SECRET, {"k": SECRET})
    try:
        open_nothing()
    except OSError:
        logging.getLogger("some.library").exception("it broke")
    text = "\n".join(f"{record.getMessage()} {record.exc_text}" for record in caplog.records)
    assert len(caplog.records) == 2
    assert MASK in text
    assert f"key {SECRET}" not in text
    assert "FileNotFoundError" in text
    assert f"directory: {SECRET!r}" not in text


def test_only_free_text_of_a_table_is_replaced() -> None:
    rows = pa.table(
        {"raw": [SECRET, None, "fine"], "rationale": [None, f"so {SECRET}", ""], "annotator_id": [SECRET] * 3}
    )
    clean = scrub_rows("judgments", rows).to_pydict()
    assert clean["raw"] == [MASK, None, "fine"]
    assert clean["rationale"] == [None, f"so {MASK}", ""]
    assert clean["annotator_id"] == [SECRET] * 3  # a name is data
    untouched = pa.table({"raw": ["a"], "rationale": ["b"]})
    assert scrub_rows("judgments", untouched) is untouched


def test_nested_columns_of_an_export_are_replaced() -> None:
    messages = [[{"role": "user", "content": f"x {SECRET}"}], None, []]
    rows = pa.table({"chosen": messages, "n": [1, 2, 3]})
    clean = scrub_columns(rows)
    assert clean["chosen"].to_pylist() == [[{"role": "user", "content": f"x {MASK}"}], None, []]
    assert clean.schema == rows.schema


def test_a_key_of_many_lines_is_replaced_line_by_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "SIGNING_PRIVATE_KEY", "-----BEGIN KEY-----\nMIIEvQIBADANBgkq\nhkiG9w0BAQEFAASC\n-----END KEY-----"
    )
    assert "hkiG9w0BAQEFAASC" not in scrub_text("found hkiG9w0BAQEFAASC here")
    assert os.environ["SIGNING_PRIVATE_KEY"] not in scrub_text(os.environ["SIGNING_PRIVATE_KEY"])
