"""Flushes the connections that were written to in one turn of the event loop. Encodes nothing and knows no client."""

import asyncio
from typing import Protocol


class Flushable(Protocol):
    """A connection with bytes to write."""

    def flush(self) -> None:
        """Write them."""


class Turn:
    """The connections that were written to in this turn of the loop. Each is flushed once, when the turn ends.

    uvloop makes a system call at each write: 3 µs per client, most of the cost of a frame. So all messages of one read
    from NATS leave in one write per client.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._connections: list[Flushable] = []

    def add(self, connection: Flushable) -> None:
        """Note that a connection has bytes to write."""
        if not self._connections:
            self._loop.call_soon(self._flush)
        self._connections.append(connection)

    def _flush(self) -> None:
        connections, self._connections = self._connections, []
        for connection in connections:
            connection.flush()
