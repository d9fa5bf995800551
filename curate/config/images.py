"""The section `images` of `curate.yaml`: which addresses of images in rows of data are opened."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field, field_validator

from curate.core.section import Section

_HOST = re.compile(r"[^\s/@?#]+")


class ImagesSection(Section):
    """Which addresses of images in rows of data are opened. Files under the folder of this file always are."""

    folders: list[str] = Field(default_factory=list, description="Further folders whose files may be opened.")
    http: bool = Field(
        False,
        description="Fetch images from http(s) addresses of the public internet; never from inner networks.",
    )
    hosts: list[str] = Field(
        default_factory=list,
        description="Hosts from which images are fetched in any case, public or not: name, or name:port.",
    )

    @field_validator("hosts")
    @classmethod
    def _names_hosts(cls, hosts: list[str]) -> list[str]:
        for host in hosts:
            if not _HOST.fullmatch(host):
                raise ValueError(
                    f"{host!r} is no host: give a name such as images.example.org or localhost:8000"
                )
        return [host.lower() for host in hosts]


@dataclass(frozen=True, slots=True)
class ImageAccess:
    """Which addresses of images are opened.

    `folder`: where relative paths start; `folders`: more folders. A file is opened if it is in one of them once all
    links are followed. `http`: public web addresses are fetched; `hosts`: so are those of these hosts (`name` or
    `name:port`), public or not.
    """

    folder: Path = Path()
    folders: tuple[Path, ...] = ()
    http: bool = False
    hosts: frozenset[str] = frozenset()
