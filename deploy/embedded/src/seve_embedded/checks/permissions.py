"""Checks that only the owner can read the state folder, passwords and `.env`. Standard library only."""

import os
import shlex
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from seve_embedded.checks.finding import FAULT, WARNING, Finding
from seve_embedded.shared import env_file

AREA: Final = "permissions"


def check(root: Path, written: Mapping[str, str]) -> list[Finding]:
    """Judge `.seve`, the passwords in it and `.env`, whose variables are `written`."""
    state = root / ".seve"
    found = [*owned(state), *closed(AREA, state, 0o700, FAULT)]
    for path in (
        *state.glob("secrets/*"),
        *state.glob("tls/**/*.key"),
        *state.glob("run/*.conf"),
        *state.glob("run/plan.json"),
    ):
        found += closed(AREA, path, 0o600, FAULT)
    for folder in state.glob("docker/*/"):  # containers' users read the files in it, through a mount
        found += closed(AREA, folder, 0o700, FAULT)
    if env_file.secrets(written):
        found += closed(AREA, root / ".env", 0o600, WARNING)
    return found


def closed(area: str, path: Path, mode: int, weight: str) -> Iterator[Finding]:
    """Return a finding if others than the owner may use `path`; `mode` is what it should be. A missing path is no
    finding.
    """
    if path.exists() and (real := stat.S_IMODE(path.stat().st_mode)) & 0o077:
        what = f"{path} can be read by others (mode {real:o})"
        yield Finding(area, what, f"chmod {mode:o} {shlex.quote(str(path))}", weight)


def owned(path: Path) -> Iterator[Finding]:
    """Return a finding if `path` belongs to another user: nothing could be written there."""
    if path.exists() and path.stat().st_uid not in (os.geteuid(), 0):
        mend = f"run ./seve as uid {path.stat().st_uid}, or chown -R {os.geteuid()} {shlex.quote(str(path))}"
        yield Finding(AREA, f"{path} belongs to uid {path.stat().st_uid}", mend)
