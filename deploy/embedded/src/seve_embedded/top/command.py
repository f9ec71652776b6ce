"""`top` in a terminal: draws the screen each second until interrupted; once, and plain, for scripts and pipes."""

import asyncio
import shutil
import sys
from typing import Final

from seve_embedded.top import screen
from seve_embedded.top.sources import Sources
from seve_embedded.top.terminal import ENTER, LEAVE, drawn

EVERY: Final = 1.0
WIDTH: Final = 160
"""Columns without a terminal."""


def top(sources: Sources, mode: str, *, live: bool) -> None:
    """Show the screen: with `live`, each second until interrupted; else once, as plain text."""
    try:
        asyncio.run(_live(sources, mode) if live else _once(sources, mode))
    except KeyboardInterrupt:
        return  # Ctrl-C is how it ends


async def _once(sources: Sources, mode: str) -> None:
    try:
        before = await sources.look()
        await asyncio.sleep(EVERY)
        now = await sources.look()
    finally:
        await sources.close()
    sys.stdout.write("\n".join([*screen.lines(before, now, mode, width=WIDTH), ""]))


async def _live(sources: Sources, mode: str) -> None:
    sys.stdout.write(ENTER)
    try:
        now = await sources.look()
        while True:
            await asyncio.sleep(EVERY)
            before, now = now, await sources.look()
            width, height = shutil.get_terminal_size()
            sys.stdout.write(drawn(screen.lines(before, now, mode, width=width, height=height)))
            sys.stdout.flush()
    finally:
        sys.stdout.write(LEAVE)
        sys.stdout.flush()
        await sources.close()
