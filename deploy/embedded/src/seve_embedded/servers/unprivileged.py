"""Starts, for root, a program that refuses to run as root. Changes nothing for an ordinary user.

Uses the first way that this machine allows:

1. A user namespace in which root's files belong to an ordinary user: no file changes its owner, no folder is opened.
2. If namespaces are refused (a container's default), the user `nobody`, with programs and data that it can reach.

If neither works, the error says what was tried.
"""

import os
import pwd
import secrets
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Final

from seve_runtime.errors import SeveError

SHARED_DATA: Final = Path("/var/lib/seve")
"""The folder of programs and data for `nobody`, if root's own folders are closed to others."""


class NoOrdinaryUser(SeveError):
    """No way to run a program as another user than root; `tried` has one line for each way."""

    def __init__(self, tried: Sequence[str]) -> None:
        super().__init__("cannot run PostgreSQL as root, nor as anybody else:\n" + "\n".join(tried))
        self.tried = tuple(tried)


@cache
def unprivileged() -> tuple[str, ...]:
    """Return the command prefix that runs a program as another user than root; empty for an ordinary user. Raises
    NoOrdinaryUser.
    """
    if os.geteuid() != 0:
        return ()
    user = _ordinary_user()
    ways = (
        ("unshare", "--user", f"--map-user={user.pw_uid}", f"--map-group={user.pw_gid}", "--"),
        ("setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "--"),
    )
    tried = []
    for way in ways:
        fault = _fault((*way, "true"))
        if fault is None:
            return way
        tried.append(f"  {' '.join(way)}  {fault}")
    raise NoOrdinaryUser(tried)


def another_user() -> pwd.struct_passwd | None:
    """Return the user that `unprivileged` switches to, which needs files of its own; None if files keep their owner."""
    return _ordinary_user() if unprivileged()[:1] == ("setpriv",) else None


def readable_programs(base: Path, *parts: str) -> Path:
    """Return `base`, or a copy of these folders of it (programs and their libraries) if that other user cannot enter
    it.
    """
    if another_user() is None or _fault((*unprivileged(), "test", "-x", str(base / parts[0]))) is None:
        return base
    installed = blake2b(f"{base} {(base / parts[0]).stat().st_mtime_ns}".encode(), digest_size=6).hexdigest()
    copy = SHARED_DATA / f"programs-{installed}"
    if not copy.exists():
        fresh = copy.with_suffix(f".{os.getpid()}")
        for part in parts:
            shutil.copytree(base / part, fresh / part, symlinks=True)
        for path in (SHARED_DATA, fresh, *fresh.rglob("*")):
            if not path.is_symlink():
                mode = path.stat().st_mode
                path.chmod(mode | (0o555 if mode & 0o100 else 0o444))
        fresh.replace(copy)
    return copy


@contextmanager
def own_folder(folder: Path) -> Iterator[Path]:
    """Give an empty folder to fill. It becomes `folder` if the context ends without an error, else it is removed.

    If another user must own and reach it, `folder` becomes a link to one of that user's.
    """
    user = another_user()
    fresh = folder.with_name(f"{folder.name}.new") if user is None else SHARED_DATA / f"data-{secrets.token_hex(6)}"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True, mode=0o700)
    if user is not None:
        SHARED_DATA.chmod(0o755)
        os.chown(fresh, user.pw_uid, user.pw_gid)
    try:
        yield fresh
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    if user is None:
        fresh.replace(folder)
    else:
        folder.symlink_to(fresh)


def _ordinary_user() -> pwd.struct_passwd:
    """Return the user `nobody`, which nearly every system has: initdb asks the system for its user's name."""
    try:
        return pwd.getpwnam("nobody")
    except KeyError:
        others = [user for user in pwd.getpwall() if user.pw_uid != 0]
        if not others:
            raise NoOrdinaryUser(["  the system knows no user but root"]) from None
        return others[0]


def _fault(command: Sequence[str]) -> str | None:
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return None if done.returncode == 0 else done.stderr.strip() or f"exit code {done.returncode}"
