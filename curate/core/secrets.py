"""Values that must not be written anywhere: keys, tokens and passwords of the environment and of curate.yaml.

`scrub_text` replaces them in texts, `curate.lake.scrub` in tables. Errors, log lines, rows of the lake, reports,
exports and what an orchestrator keeps go through it.

A value counts as a secret by the name it goes by (`OPENAI_API_KEY`, `db_password`), or as the password of an address.
Short plain words (`postgres`) are replaced in addresses only: elsewhere they would make every text unreadable.
"""

from __future__ import annotations

import base64
import html
import json
import os
import re
import threading
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote, unquote

MASK = "[secret]"

_ANYWHERE = re.compile(
    r"SECRET|PASSW|PASSPHRASE|CREDENTIAL|APIKEY|PRIVATE_?KEY|ACCESS_?KEY|CONNECTION_?STRING|WEBHOOK"
)
_LAST_WORDS = re.compile(
    r"(KEYS?|TOKENS?|PASS|PWD|AUTH|DSN|PAT|COOKIE|JWT|BEARER|SIGNATURE|AUTHORIZATION|PSK)$"
)
_NO_SECRETS = frozenset({"PWD", "OLDPWD", "GPG_KEY", "SSH_AUTH_SOCK"})  # a folder, a public key, a socket
_NO_CREDENTIAL = re.compile(
    r"^(MAX|MIN|N|NUM)_|_(FILE|PATH|ENV|NAME)$|(PAD|EOS|BOS|UNK|MASK|SEP|CLS|STOP|END|IMAGE)_?TOKENS?$"
)
_COLUMN = re.compile(r"^(?!.*(API|AUTH|ACCESS)).*KEYS?$")  # in curate.yaml, `key: question_id` names a column
_LEAST = 5  # characters of a secret with digits or signs in it
_LEAST_WORD = 12  # characters of a secret that is one word of letters
_MOST = 1_000  # registered values
# The password of `scheme://user:password@host`; it may hold an @ itself.
_ADDRESS = re.compile(r"(?<=://)([^/\s:@'\"<>]*):(?!\$\{)([^\s/'\"<>]+)@")
_OPTION = re.compile(r"(?i)\b(password|passwd|pwd)=('[^']*'|[^\s'\"&;,)]+)")  # as in "host=db password=…"

_registered: set[str] = set()
_lock = threading.Lock()


def is_secret_name(name: str) -> bool:
    """Tell whether a variable, an option or a header of this name holds a secret.

    >>> [is_secret_name(name) for name in ("OPENAI_API_KEY", "x-api-key", "TOKENIZERS_PARALLELISM", "max_tokens")]
    [True, True, False, False]
    """
    plain = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+", "_", name).upper().strip("_")
    if plain in _NO_SECRETS or _NO_CREDENTIAL.search(plain):  # a number, or where the secret is
        return False
    return bool(_ANYWHERE.search(plain) or _LAST_WORDS.search(plain))


def register_secrets(values: Iterable[str]) -> None:
    """Add values to those that `scrub_text` replaces in this process."""
    with _lock:
        for value in values:
            if value and len(_registered) < _MOST:
                _registered.add(value)


def register_config_secrets(document: Any) -> None:
    """Add the secrets of a configuration: values under names of secrets, and variables that `*_env` options name."""
    register_secrets(_walk_secrets(document, ""))


def list_secrets() -> list[str]:
    """List all spellings of the secrets of this process, the longest first, so that no part of one is left over."""
    with _lock:
        registered = frozenset(_registered)
    return list(_spell_secrets(frozenset(_read_environment(os.environ)) | registered))


def scrub_text(text: str) -> str:
    """Replace every secret in a text by a mark.

    >>> scrub_text("cannot reach postgresql://me:hunter2@db/lake")
    'cannot reach postgresql://me:[secret]@db/lake'
    """
    for secret in list_secrets():
        if secret in text:
            text = text.replace(secret, MASK)
    if "://" in text:
        text = _ADDRESS.sub(rf"\1:{MASK}@", text)
    return _OPTION.sub(rf"\1={MASK}", text) if "=" in text else text


def scrub_exception(error: BaseException) -> BaseException:
    """Replace secrets in the messages of an error and of those that led to it; return the same error."""
    seen: set[int] = set()
    pending: list[BaseException | None] = [error]
    while pending:
        current = pending.pop()
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        current.args = tuple(scrub_text(value) if isinstance(value, str) else value for value in current.args)
        if isinstance(current, OSError):
            for name in ("filename", "filename2", "strerror"):
                if isinstance(value := getattr(current, name, None), str):
                    setattr(current, name, scrub_text(value))
        if hasattr(current, "__notes__"):
            current.__notes__ = [scrub_text(str(note)) for note in current.__notes__]
        pending += [current.__cause__, current.__context__]
        if isinstance(current, BaseExceptionGroup):
            pending += current.exceptions
    return error


def _walk_secrets(value: Any, name: str) -> Iterable[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _walk_secrets(item, str(key))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _walk_secrets(item, name)
    elif isinstance(value, str):
        if name.endswith("_env"):
            yield os.environ.get(value, "")
        elif is_secret_name(name) and not _COLUMN.match(name.upper()) and len(value.split()) < 4:  # no prose
            yield value.split()[-1] if value else ""  # "Bearer abc": abc
        for variable in re.findall(r"\$\{(\w+)\}", value):
            yield os.environ.get(variable, "")
        yield from _list_passwords(value)


def _read_environment(environment: Mapping[str, str]) -> Iterable[str]:
    for name, value in environment.items():
        if len(value) < _LEAST:
            continue
        if is_secret_name(name) and not (value[0] in "/~." and os.path.exists(value)):  # noqa: PTH110
            yield value.strip()
        if "://" in value:
            yield from _list_passwords(value)


def _list_passwords(text: str) -> Iterable[str]:
    for match in _ADDRESS.finditer(text):
        yield match[2]
        yield unquote(match[2])


@lru_cache(maxsize=8)
def _spell_secrets(values: frozenset[str]) -> tuple[str, ...]:
    spellings: set[str] = set()
    for value in values:
        if not _is_distinctive(value):
            continue
        escaped = json.dumps(value)[1:-1]
        spellings |= {value, escaped, json.dumps(value, ensure_ascii=False)[1:-1], repr(value)[1:-1]}
        spellings |= {json.dumps(escaped)[1:-1], quote(value, safe=""), quote(value), html.escape(value)}
        if len(value) >= _LEAST_WORD:
            spellings.add(base64.b64encode(value.encode("utf-8", "surrogateescape")).decode().rstrip("="))
        lines = [line.strip() for line in value.splitlines()]
        if len(lines) > 1:  # a key in PEM form: any line of it
            spellings |= {line for line in lines if len(line) >= 16 and not line.startswith("-----")}
    return tuple(sorted(spellings, key=lambda text: (-len(text), text)))


def _is_distinctive(value: str) -> bool:
    if len(value) < _LEAST or value.lower() in ("false", "true", "none", "null"):
        return False
    if value.isdigit():
        return len(value) >= 8
    return (
        not value.isalpha()
        or len(value) >= _LEAST_WORD
        or (value != value.lower() and len(value) >= 8 and not value.istitle())
    )
