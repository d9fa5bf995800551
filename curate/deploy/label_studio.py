"""A Label Studio on this machine for one project: where its program is, and with which settings it starts."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from pathlib import Path
from urllib.parse import urlsplit

from curate.config.project import Config
from curate.core.errors import CurateError
from curate.core.network import is_loopback
from curate.deploy.service_start import HOST, ServiceCommand, answers

VARIABLE = "CURATE_LABEL_STUDIO"
"""Environment variable that names the program `label-studio`."""
USER = "admin@example.com"
_ENVIRONMENT = ".venvs/label-studio/bin/label-studio"
_FIRST_BOOT = 300.0  # seconds: an empty database is migrated


def find_label_studio(config: Config, given: Path | None = None) -> Path | None:
    """Find the program: the one given, of CURATE_LABEL_STUDIO, on the PATH, or in `.venvs/label-studio`.

    Raises:
        CurateError: The program that was named is not there.
    """
    named = given or (Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None)
    if named is not None:
        if not named.is_file():
            raise CurateError(
                f"There is no program {named}: name `label-studio` of the environment that has it."
            )
        return named.absolute()
    on_path = shutil.which("label-studio")
    places = [config.resolve(_ENVIRONMENT), Path(__file__).parents[2] / _ENVIRONMENT]
    return Path(on_path) if on_path else next((place for place in places if place.is_file()), None)


def read_credentials(folder: Path) -> dict[str, str]:
    """Read the password, token and key of a project's Label Studio; they are made once, for the owner's eyes only."""
    path = folder / "label-studio.json"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        made = {
            "password": secrets.token_urlsafe(12),
            "token": secrets.token_hex(20),
            "key": secrets.token_hex(32),
        }
        path.touch(mode=0o600)
        path.write_text(json.dumps(made), encoding="utf-8")
    credentials: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return credentials


def is_here(config: Config) -> bool:
    """Tell whether `verify.url` is an address of this machine."""
    return is_loopback(urlsplit(config.verify.url).hostname or "")


def make_command(config: Config, program: Path, folder: Path) -> ServiceCommand:
    """Make the command of a Label Studio that answers at `verify.url`.

    Args:
        config: The project.
        program: The program `label-studio`.
        folder: Folder of its data and its credentials.
    """
    credentials, data = read_credentials(folder), folder / "label-studio"
    data.mkdir(exist_ok=True)
    port = urlsplit(config.verify.url).port or 80
    settings = {
        "LABEL_STUDIO_BASE_DATA_DIR": str(data),
        "DJANGO_DB": "sqlite",
        "LABEL_STUDIO_USERNAME": USER,
        "LABEL_STUDIO_PASSWORD": credentials["password"],
        "LABEL_STUDIO_USER_TOKEN": credentials["token"],
        "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
        "SECRET_KEY": credentials["key"],
        "SENTRY_DSN": "",
        "FRONTEND_SENTRY_DSN": "",
        "LATEST_VERSION_CHECK": "false",
        "COLLECT_ANALYTICS": "false",
        "SSRF_PROTECTION_ENABLED": "false",  # or it would not call `curate verify watch` on this machine
        "LABEL_STUDIO_HOST": config.verify.url,
        "PYTHONPATH": "",  # of ours: it has an environment of its own
    }
    return ServiceCommand(
        name="Label Studio",
        command=[str(program), "start", "--no-browser", "--internal-host", HOST, "--port", str(port)],
        environment=settings,
        url=config.verify.url,
        is_ready=lambda: answers(f"{config.verify.url}/health"),
        seconds=_FIRST_BOOT,
        folder=data,
    )
