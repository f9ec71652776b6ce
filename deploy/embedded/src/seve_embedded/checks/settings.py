"""Checks every setting before `up` starts anything, and names all faults together. Starts no server."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from seve_runtime.errors import SettingsError
from seve_runtime.settings import load
from seve_runtime.units import reachable, split_listen

from seve_embedded import plan
from seve_embedded.settings import StackSettings
from seve_embedded.shared import env_file, known_settings, links

SERVICES: Final = ("seve_ingest", "seve_writer", "seve_history", "seve_broadcaster")
STAND_IN: Final = {"DATABASE_URL": "postgresql://127.0.0.1/seve"}
"""Variables that the stack itself sets for its services, except the files of TLS."""


def check(environ: Mapping[str, str], root: Path, say: Callable[[str], None]) -> None:
    """Raise SettingsError with the faults of `.env`, of the stack and of every service."""
    file = root / ".env"
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    try:
        written = env_file.parse(text)
    except env_file.EnvFileError as error:
        raise SettingsError(error.faults) from error
    every = env_file.merged(environ, text)
    settings = known_settings.known()
    stack, tls = _stack(every, root)
    faults = [*known_settings.faults(written, settings), *stack, *_services({**every, **tls}, root)]
    if faults:
        raise SettingsError(list(dict.fromkeys(faults)))
    for name in known_settings.unread(written, settings):
        say(f"  {name} in .env is read by no part of Sève")


def _stack(environ: Mapping[str, str], root: Path) -> tuple[list[str], dict[str, str]]:
    """Return the faults of the stack's own settings; without faults also the TLS variables that it sets for its
    services.
    """
    try:
        settings = load(StackSettings, environ)
        found = links.links(environ, root)
    except SettingsError as error:
        return error.faults, {}
    listens = {"mqtt": settings.mqtt_listen, "ws": settings.ws_listen, "nats": f"127.0.0.1:{settings.nats_port}"}
    names = {link: [reachable(split_listen(listen)[0]).strip("[]")] for link, listen in listens.items()}
    faults = links.faults(environ, root, names)
    broker = plan.broker_environment(settings, found) if found.mqtt else {}
    return faults, {} if faults else {**broker, **plan.screens_environment(found)}


def _services(environ: Mapping[str, str], root: Path) -> list[str]:
    """Have all services check their settings at once: each reads them, and the files they name, and exits."""
    asked = [
        subprocess.Popen(
            [sys.executable, "-m", module, "--check"],
            env={"PATH": os.defpath, **STAND_IN, **environ},
            cwd=root,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for module in SERVICES
    ]
    answers = [(process, process.communicate()[1].splitlines()) for process in asked]
    return [
        line.removeprefix("setting ")
        for process, lines in answers
        if process.returncode
        for line in lines or [f"a service's check ended with code {process.returncode} and said nothing"]
    ]
