"""A fleet that arrives at once: each device connects, introduces itself, and is there for samples.

A device whose connection the broker closes connects again and repeats what was not acknowledged, as devices do. The
broker may hold the first copy: a sample that was repeated is told, so that a second row of it is nobody's fault.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from seve_runtime.clock import micros

from seve_fleet.load.connection import Connection, Message
from seve_fleet.simulate.device import Module

BACK_AFTER: Final = (1.0, 3.0)
"""Seconds until a device connects again: evenly between these."""
OPEN_SECONDS: Final = 30.0


class Arrival:
    """Devices numbered from 0; `here` are those connected now, `repeated` the numbers of samples sent again."""

    def __init__(self, prefix: str, connect: Callable[[int], Awaitable[Connection]]) -> None:
        self._prefix = prefix
        self._connect = connect
        self._tasks: list[asyncio.Task[None]] = []
        self._first: list[asyncio.Event] = []
        self.here: list[tuple[int, Connection]] = []
        self.reports = 0
        self.reconnects = 0
        self.repeated: set[int] = set()

    def start(self, devices: int) -> None:
        """All of them connect."""
        self._first = [asyncio.Event() for _ in range(devices)]
        self._tasks = [asyncio.create_task(self._live(number)) for number in range(devices)]

    async def complete(self) -> None:
        """Until each device was connected once."""
        for event in self._first:
            await event.wait()

    async def close(self) -> None:
        """All devices leave."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for _, connection in self.here:
            connection.close()

    async def _live(self, number: int) -> None:
        unacknowledged: list[Message] = []
        while True:
            connection = None
            with suppress(OSError):  # TimeoutError included: a broker that is busy; the device tries again
                async with asyncio.timeout(OPEN_SECONDS):
                    connection = await self._connect(number)
            if connection:
                unacknowledged = await self._use(number, connection, unacknowledged)
            self.reconnects += 1
            await asyncio.sleep(random.uniform(*BACK_AFTER))  # noqa: S311  (no secret)

    async def _use(self, number: int, connection: Connection, unacknowledged: list[Message]) -> list[Message]:
        """Until the connection is lost; gives what it has no PUBACK for."""
        if unacknowledged:
            self.repeated.update(message.number for message in unacknowledged if message.number >= 0)
            connection.send(unacknowledged, 1, again=True)
        if not self._first[number].is_set():
            connection.send(introduction(self._prefix, number), 1)
            self.reports += len(introduction(self._prefix, number))
            self._first[number].set()
        self.here.append((number, connection))
        await connection.lost
        self.here.remove((number, connection))
        return connection.unacknowledged


def introduction(prefix: str, number: int) -> list[Message]:
    """Birth, configurations and status, as a device publishes them once it is connected."""
    now = micros()
    module = Module(f"{prefix}-{number:05d}", number, boot=now)
    messages = (module.birth(), *module.configs(), *module.reports(now))
    return [Message(each.topic.encode(), each.payload, retain=each.retain) for each in messages]
