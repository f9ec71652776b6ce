"""`certs`: makes the certificates of every link once, and renews them in time. A running stack reloads them."""

import signal
import socket
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from seve_embedded.certificates.issue import issue
from seve_embedded.shared import certificate_files, links
from seve_embedded.stack import Stack
from seve_embedded.supervision import processes


def certs(
    stack: Stack, names: Sequence[str], devices: Sequence[str], *, renew: bool, say: Callable[[str], None]
) -> None:
    """Make certificates that are missing or expire soon, and say where they are. Raises CannotIssue."""
    folder = stack.state.folder.parent / links.folder(stack.environ)
    held = certificate_files.held(folder)
    every = [socket.gethostname(), *names]
    written = issue(held, names=every, devices=devices, now=datetime.now(UTC), renew=renew)
    certificate_files.write(folder, written)
    _take_up(stack)  # also if only a certificate of the person's own was replaced
    say(
        certificate_files.told(
            links.folder(stack.environ), written, every, devices, on=bool(links.switched(stack.environ))
        )
    )


def _take_up(stack: Stack) -> None:
    """Have NATS reload its certificates; the broadcaster notices changed files itself."""
    for process in stack.running:
        if process.name == "nats":
            processes.send(process, signal.SIGHUP)
