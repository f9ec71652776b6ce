"""Run a command, and when it is over, however it ended, end every process that came from it: `guard.py COMMAND ...`.

A process whose parent died is left to this one (a child subreaper of Linux): so the servers of a killed test process
are found here, and daemons in sessions of their own. SIGINT, SIGTERM and SIGHUP are passed on as one Ctrl-C to the
command and all that is in its session. It may then clean up as long as it likes; a second signal ends that. Containers
are not ended: they belong to their engine. A bare Python suffices.
"""

import ctypes
import os
import signal
import sys
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
INTERRUPTS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
HEARD = {*INTERRUPTS, signal.SIGCHLD}
GRACE = 5
"""Seconds between SIGTERM and SIGKILL, for what outlived the command."""


def main(command: list[str]) -> int:
    """Run the command; its exit code, or 128 and the signal that ended it, as a shell says it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, HEARD)
    adopt_orphans()
    pid = os.posix_spawnp(command[0], command, os.environ, setsid=True, setsigmask=[], setsigdef=HEARD)
    code = watched(pid)
    if left := end_descendants():
        sys.stderr.write(f"guard: ended what {command[0]} left running: {', '.join(left)}\n")
    return code


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent dies."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def watched(pid: int) -> int:
    """Pass the first interrupt on, and wait until the command is over or a second one comes."""
    interrupted = False
    while (status := reaped().get(pid)) is None:
        if (told := signal.sigwait(HEARD)) in INTERRUPTS:
            if interrupted:
                return 128 + told
            interrupted = True
            os.killpg(pid, signal.SIGINT)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def end_descendants() -> list[str]:
    """End every process that came from this one; the names of those that were still there."""
    told: dict[int, str] = {}
    deadline = time.monotonic() + GRACE
    while left := descendants():
        late = time.monotonic() > deadline
        for pid in left if late else left.keys() - told.keys():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL if late else signal.SIGTERM)
        told |= left
        if (heard := signal.sigtimedwait(HEARD, 0.05)) and heard.si_signo in INTERRUPTS:
            deadline = 0
        reaped()
    return sorted(told.values())


def reaped() -> dict[int, int]:
    """Take the exit status of each child that is over."""
    over = {}
    with suppress(ChildProcessError):
        while (done := os.waitpid(-1, os.WNOHANG))[0]:
            over[done[0]] = done[1]
    return over


def descendants() -> dict[int, str]:
    """Number and name of every process that came from this one and still runs."""
    children = defaultdict(dict)
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it ended meanwhile
            name, _, numbers = path.read_text(errors="replace").partition("(")[2].rpartition(") ")
            state, parent = numbers.split()[:2]
            if state != "Z":
                children[int(parent)][int(path.parent.name)] = name
    found: dict[int, str] = {}
    unseen = [os.getpid()]
    while unseen:
        own = children[unseen.pop()]
        found |= own
        unseen += own
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
