"""`clean`: the stack's data are gone afterwards. Asks first; refuses while the stack runs."""

import shutil
from collections.abc import Callable

from seve_runtime.errors import SeveError

from seve_embedded.stack import Stack


class StillRunning(SeveError):
    """The stack has to be stopped first."""


def clean(stack: Stack, sure: Callable[[str], bool]) -> bool:
    """Remove the state folder and what it links to, if `sure` of the question says so; tells whether it did."""
    folder = stack.state.folder
    if not folder.exists():
        return True
    if stack.running:
        raise StillRunning("the stack runs: `make down` first")
    if not sure(f"Remove {folder} with all stored telemetry?"):
        return False
    data = stack.state.postgres_data
    if data.is_symlink():
        shutil.rmtree(data.resolve(), ignore_errors=True)
    shutil.rmtree(folder)
    return True
