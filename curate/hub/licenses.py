"""Names of licences, as the front matter of a card has them."""

from __future__ import annotations

import re

from curate.core.resources import find_resource


def build_license_fields(name: str | None) -> dict[str, str]:
    """Return the fields of the front matter for an SPDX name: one of the hub's names, or `other` with a name."""
    if name is None:
        return {"license": "other", "license_name": "unspecified"}
    known = find_resource("hub/licenses.txt").read_text(encoding="utf-8").split()
    if name.lower() in known:
        return {"license": name.lower()}
    return {
        "license": "other",
        "license_name": re.sub(r"[^a-z0-9.-]+", "-", name.lower()).strip("-") or "other",
    }
