"""Personal data by their form: addresses of mail, telephone and bank account numbers, cards, machines, keys.

Names of people have no form: the filter `names` asks a model for them. What filters have found in a text is written as
one text, in which names stand in quotation marks: `email,phone,"Ada Lovelace"`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from typing import Literal, get_args

Form = Literal["email", "phone", "card", "iban", "ip", "us-ssn", "key"]

_EXAMPLES = re.compile(
    r"(?:^|[@.])(?:example\.(?:com|org|net|edu)|test|localhost|invalid|domain\.com|email\.com)$", re.I
)
_PATTERNS: dict[Form, re.Pattern[str]] = {
    "email": re.compile(r"(?<![\w.+%-])[\w.+%-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}\b"),
    "phone": re.compile(
        r"(?<![\w.+/-])(?:\+\d{1,3}[\s.-]?(?:\(\d{1,4}\)[\s.-]?)?\d{2,5}(?:[\s.-]\d{2,5}){1,4}"
        r"|\(\d{3}\)\s?\d{3}[\s.-]\d{4}|\d{3}[.-]\d{3}[.-]\d{4})(?![\w/-])"
    ),
    "card": re.compile(r"(?<![\w.-])(?:\d[ -]?){12,18}\d(?![\w-])"),
    "iban": re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b"),
    "ip": re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.])"),
    "us-ssn": re.compile(r"(?<![\w-])(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w-])"),
    "key": re.compile(
        r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{36,}\b|\bgithub_pat_\w{22,}\b|\bhf_[A-Za-z0-9]{30,}\b"
        r"|\bsk-(?:[a-z]+-){0,2}[\w-]{32,}|\bAIza[\w-]{35}(?![\w-])|\bxox[abprs]-[\w-]{10,}|\bglpat-[\w-]{20,}"
        r"|-----BEGIN [A-Z ]*PRIVATE KEY-----(?:.*?-----END [A-Z ]*PRIVATE KEY-----)?",
        re.S,
    ),
}


def find_forms(text: str, forms: Iterable[Form]) -> list[Form]:
    """List the forms of personal data that a text holds."""
    return [
        form for form in forms if any(_CHECKS[form](match[0]) for match in _PATTERNS[form].finditer(text))
    ]


def mask_forms(text: str, forms: Iterable[Form]) -> str:
    """Put `[EMAIL]`, `[PHONE]`, … in the place of personal data of these forms.

    >>> mask_forms("Write to ada@lovelace.org.", ["email"])
    'Write to [EMAIL].'
    """
    for form in forms:
        mask = f"[{form.upper()}]"
        check = _CHECKS[form]
        text = _PATTERNS[form].sub(lambda match: mask if check(match[0]) else match[0], text)  # noqa: B023
    return text


def write_findings(*, forms: Iterable[Form] = (), names: Iterable[str] = ()) -> str:
    """Write the forms and the names in a text as one text.

    >>> write_findings(forms=["email"], names=["Ada Lovelace"])
    'email,"Ada Lovelace"'
    """
    parts = [part.strip() for name in names for part in re.split(r'[",\n]', name)]
    return ",".join([*forms, *(f'"{part}"' for part in dict.fromkeys(parts) if part)])


def mask_findings(text: str, findings: str) -> str:
    """Mask what `write_findings` wrote, also of several filters with a comma between them; names become `[NAME]`.

    >>> mask_findings("Ada, ada@lovelace.org: not Adam.", 'email,"Ada"')
    '[NAME], [EMAIL]: not Adam.'
    """
    listed = findings.split(",")
    text = mask_forms(text, [form for form in get_args(Form) if form in listed])
    names = {item.strip('"') for item in listed if item.startswith('"')}
    if not names:
        return text
    longest_first = sorted(names, key=lambda name: (-len(name), name))
    return re.sub("|".join(map(_match_name, longest_first)), "[NAME]", text)


def _match_name(name: str) -> str:
    """Write a pattern for a name that is no part of a word, in scripts that have blanks between words."""
    before, after = (r"\b" if end.upper() != end.lower() else "" for end in (name[0], name[-1]))
    return before + re.escape(name) + after


def _is_real_mail(value: str) -> bool:
    return _EXAMPLES.search(value.rsplit("@", 1)[1]) is None


def _is_real_phone(value: str) -> bool:
    digits = re.sub(r"\D", "", value)
    return 9 <= len(digits) <= 15 and "555" not in (digits[-7:-4], digits[-10:-7])


def _is_card(value: str) -> bool:
    """Check the last digit by Luhn's rule."""
    digits = [int(digit) for digit in value if digit.isdigit()]
    doubled = [
        digit if at % 2 == 0 else sum(divmod(2 * digit, 10)) for at, digit in enumerate(reversed(digits))
    ]
    return digits[0] in (3, 4, 5, 6) and len(set(digits)) > 2 and sum(doubled) % 10 == 0


def _is_iban(value: str) -> bool:
    """Check the two digits by ISO 7064 (remainder 1 of 97)."""
    code = value.replace(" ", "")
    if not 15 <= len(code) <= 34:
        return False
    return int("".join(str(int(character, 36)) for character in code[4:] + code[:4])) % 97 == 1


def _is_public_machine(value: str) -> bool:
    try:
        return ip_address(value).is_global
    except ValueError:
        return False


_CHECKS: dict[Form, Callable[[str], bool]] = {
    "email": _is_real_mail,
    "phone": _is_real_phone,
    "card": _is_card,
    "iban": _is_iban,
    "ip": _is_public_machine,
    "us-ssn": lambda value: True,
    "key": lambda value: "EXAMPLE" not in value and len(set(value)) > 8,
}
