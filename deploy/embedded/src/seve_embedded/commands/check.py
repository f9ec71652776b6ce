"""`check`: finds what would keep the stack from starting or from running on, without starting anything.

The judgements are in `checks`; this module collects their inputs. Ports are checked only while the stack is down: while
it is up it uses them itself.
"""

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from seve_runtime.errors import SettingsError

from seve_embedded import plan
from seve_embedded.checks import certificates, clock, disk, permissions, settings, versions
from seve_embedded.checks.finding import WARNING, Finding
from seve_embedded.shared import env_file, known_settings, links
from seve_embedded.shared.disk import remaining
from seve_embedded.stack import Stack
from seve_embedded.supervision import ports
from seve_embedded.supervision.disk_usage import size_of

EDIT: Final = "correct it in .env"


def gather(environ: Mapping[str, str], root: Path) -> tuple[list[Finding], list[str]]:
    """Return all findings, and what was checked."""
    found, notes = _settings(environ, root)
    written = _written(root)
    every = {**written, **{name: value for name, value in environ.items() if value}}
    found += [Finding("settings", note.strip(), "remove it from .env", WARNING) for note in notes]
    known = known_settings.known()
    certified = certificates.check({name: every[name] for name in every if name in known}, root, time.time())
    if certified:  # services report such faults too, but not how to mend them
        found = [one for one in found if not one.what.partition(" = ")[0].endswith("_CERT_FILE")]
    found += certified
    found += permissions.check(root, written)
    facts = ["settings and route tests", "ports", f"versions (Python {sys.version.split()[0]})"]
    try:
        stack = Stack.open(environ, root)
        found += certificates.check(links.made_files(stack.links), root, time.time())
        more, measured = _of_stack(stack)
    except SettingsError:  # reported above
        more, measured = [], "no disk"
    return [*found, *more], [*facts, measured, "clock", "permissions", "certificates"]


def _settings(environ: Mapping[str, str], root: Path) -> tuple[list[Finding], list[str]]:
    notes: list[str] = []
    try:
        settings.check(environ, root, notes.append)
    except SettingsError as error:
        return [Finding(_area(fault), fault, _mend(fault)) for fault in error.faults], notes
    return [], notes


def _area(fault: str) -> str:
    return "routes" if fault.startswith("ROUTES_FILE") else "settings"


def _mend(fault: str) -> str:
    if fault.startswith("ROUTES_FILE"):
        return "correct the file; ./seve explain --test runs its tests"
    return EDIT


def _written(root: Path) -> dict[str, str]:
    file = root / ".env"
    try:
        return env_file.parse(file.read_text(encoding="utf-8")) if file.exists() else {}
    except env_file.EnvFileError:  # reported with the settings
        return {}


def _of_stack(stack: Stack) -> tuple[list[Finding], str]:
    state, found = stack.state, []
    if stack.running:
        found += _running(stack)
    else:
        found += _ports(stack)
    measured = disk.measure(state.data)
    found += disk.check(
        measured,
        where=state.data,
        growth=remaining(stack.stream_bytes, size_of(state.nats_data)),
        sync_interval=stack.settings.nats_sync_interval,
    )
    found += versions.check(state.postgres_data)
    logs = state.logs.glob("*.log") if state.logs.exists() else ()
    found += clock.check(time.time(), logs, synchronised=clock.synchronised())
    return found, disk.described(measured)


def _running(stack: Stack) -> list[Finding]:
    if not stack.supervised:
        return [Finding("processes", "the supervisor is gone: what still runs is not started again", "./seve up")]
    if stack.current.dotenv != stack.dotenv:
        what = ".env has changed since the stack started"
        return [Finding("settings", what, "./seve down && ./seve up", WARNING)]
    return []


def _ports(stack: Stack) -> list[Finding]:
    try:
        ports.check(plan.listeners(stack.settings))
    except SettingsError as error:
        return [
            Finding("ports", what, mend or EDIT) for what, _, mend in (fault.partition("; ") for fault in error.faults)
        ]
    return []
