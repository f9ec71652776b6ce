"""Makes `.venv`, which embedded mode and development run on, from the hashed locks. Standard library only."""

import subprocess
import sys
import time
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

PACKAGES: Final = (
    "libs/schema",
    "libs/runtime",
    "libs/fleet",
    "services/ingest",
    "services/writer",
    "services/history",
    "services/broadcaster",
    "deploy/embedded",
)
EMBEDDED, DEV = "embedded", "dev"
"""The locks: for running the stack, and for running, testing and linting it."""


class NotInstalled(RuntimeError):
    """The virtual environment could not be created."""


def python(root: Path) -> Path:
    """Return the interpreter of `.venv`."""
    return root / ".venv/bin/python"


def ensure(root: Path, lock: str) -> None:
    """Install the packages of `lock` unless they are installed; `dev` includes all of `embedded`.
    Raises NotInstalled.
    """
    enough = {EMBEDDED: (EMBEDDED, DEV), DEV: (DEV,)}[lock]
    if not any(_installed(root, one) for one in enough):
        _install(root, lock)


def _installed(root: Path, lock: str) -> bool:
    mark = root / ".venv" / lock
    return python(root).exists() and mark.exists() and mark.read_text(encoding="utf-8") == _fingerprint(root, lock)


def _fingerprint(root: Path, lock: str) -> str:
    """Return a digest of the lock, the packages' own requirements, and this folder: it may have been moved."""
    files = [root / f"locks/{lock}.lock", *(root / package / "pyproject.toml" for package in PACKAGES)]
    return sha256(b"".join(path.read_bytes() for path in files) + bytes(root)).hexdigest()


def _install(root: Path, lock: str) -> None:
    began = time.monotonic()
    version = sys.version.split()[0]
    print(f"Installing into .venv (Python {version}, first time only)", flush=True)
    if not _ends_well([str(python(root)), "-m", "pip", "--version"]):
        _make_venv(root)
    pip = [str(python(root)), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    _run([*pip, "--require-hashes", "-r", str(root / f"locks/{lock}.lock")], "the dependencies could not be installed")
    editable = [f"--editable={root / package}" for package in PACKAGES]
    _run([*pip, "--no-deps", "--no-build-isolation", *editable], "the packages could not be installed")
    (root / ".venv" / lock).write_text(_fingerprint(root, lock), encoding="utf-8")
    print(f"Installed in {time.monotonic() - began:.0f} s", flush=True)


def _make_venv(root: Path) -> None:
    if not _ends_well([sys.executable, "-c", "import venv, ensurepip"]):
        raise NotInstalled(
            f"{sys.executable} has no venv module with pip; on Debian and Ubuntu: apt install python3-venv"
        )
    _run(
        [sys.executable, "-m", "venv", "--clear", str(root / ".venv")], "no virtual environment could be made in .venv"
    )


def _run(command: Sequence[str], fault: str) -> None:
    if subprocess.run(command, check=False).returncode:
        raise NotInstalled(fault)


def _ends_well(command: Sequence[str]) -> bool:
    try:
        return subprocess.run(command, check=False, capture_output=True).returncode == 0
    except OSError:
        return False
