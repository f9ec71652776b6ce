"""`clean`: removes the stack's data. Asks first; refuses while the stack runs."""

import shutil
from collections.abc import Callable

from seve_runtime.errors import SeveError

from seve_embedded.stack import Stack


class StillRunning(SeveError):
    """The stack has to be stopped first."""


def clean(stack: Stack, sure: Callable[[str], bool]) -> bool:
    """Remove this stack's files and the folders that it links to, if `sure` confirms the question; return whether it
    did.

    Files of others in the folder (the passwords of a stack in containers) stay.
    """
    folder = stack.state.folder
    if not folder.exists():
        return True
    if stack.running:
        raise StillRunning("the stack runs: `make down` first")
    if not sure(f"Remove all stored telemetry, logs and passwords of this stack from {folder}?"):
        return False
    data = stack.state.postgres_data
    elsewhere = [data.resolve()] if data.is_symlink() else []
    for part in (*elsewhere, *stack.state.parts):
        if part.exists():
            shutil.rmtree(part)
    if not any(folder.iterdir()):
        folder.rmdir()
    return True
