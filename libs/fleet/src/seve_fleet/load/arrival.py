"""A fleet that connects all at once: each device connects, publishes its introduction, and then sends samples.

A device whose connection the broker closes reconnects and repeats its unacknowledged messages, as real devices do. The
broker may hold the first copy, so the result lists repeated samples: a second row of one is no fault.
"""

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Final

from seve_runtime.clock import micros

from seve_fleet.load.connection import Connection, LoadMessage
from seve_fleet.simulate.device import DeviceMessage, SimulatedModule

BACK_AFTER: Final = (1.0, 3.0)
"""Seconds until a device reconnects: uniformly distributed between these."""
OPEN_SECONDS: Final = 30.0


class ArrivingFleet:
    """Devices numbered from 0. `here` has the connected ones, `repeated` the numbers of repeated samples."""

    def __init__(self, prefix: str, connect: Callable[[int], Awaitable[Connection]]) -> None:
        self._prefix = prefix
        self._connect = connect
        self._tasks: list[asyncio.Task[None]] = []
        self._first: list[asyncio.Event] = []
        self._complete = False
        self.here: list[tuple[int, Connection]] = []
        self.reports = 0
        self.reconnects = 0
        self.repeated: set[int] = set()

    def start(self, devices: int, report_every: float = 0.0) -> None:
        """Let all devices connect. With `report_every` (seconds) they publish reports regularly."""
        self._first = [asyncio.Event() for _ in range(devices)]
        self._tasks = [asyncio.create_task(self._live(number)) for number in range(devices)]
        if report_every:
            self._tasks.append(asyncio.create_task(self._report(report_every / devices)))

    async def complete(self) -> None:
        """Wait until each device was connected once."""
        for event in self._first:
            await event.wait()
        self._complete = True

    @property
    def ready(self) -> bool:
        """Whether devices can send samples. Once all have arrived, at least half have to be connected: otherwise the
        few connected ones would send the samples of all others at once.
        """
        return 2 * len(self.here) >= len(self._first) if self._complete else bool(self.here)

    async def _report(self, pause: float) -> None:
        """Publish the reports of one connected device after the other, with a pause (seconds) in between."""
        for turn in itertools.count():
            if self.here:
                number, connection = self.here[turn % len(self.here)]
                now = micros()
                messages = encoded(SimulatedModule(f"{self._prefix}-{number:05d}", number).reports(now))
                connection.send(messages, 1)
                self.reports += len(messages)
            await asyncio.sleep(pause)

    async def close(self) -> None:
        """Disconnect all devices."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for _, connection in self.here:
            connection.close()

    async def _live(self, number: int) -> None:
        unacknowledged: list[LoadMessage] = []
        while True:
            connection = None
            with suppress(OSError):  # also a TimeoutError, if the broker is busy; the device tries again
                async with asyncio.timeout(OPEN_SECONDS):
                    connection = await self._connect(number)
            if connection:
                unacknowledged = await self._use(number, connection, unacknowledged)
            self.reconnects += 1
            await asyncio.sleep(random.uniform(*BACK_AFTER))  # noqa: S311  (no secret)

    async def _use(self, number: int, connection: Connection, unacknowledged: list[LoadMessage]) -> list[LoadMessage]:
        """Use a connection until it is lost; return the messages without PUBACK."""
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


def introduction(prefix: str, number: int) -> list[LoadMessage]:
    """Return the birth message, configurations and status that a device publishes after it has connected."""
    now = micros()
    module = SimulatedModule(f"{prefix}-{number:05d}", number, boot=now)
    return encoded((module.birth(), *module.configs(), *module.reports(now)))


def encoded(messages: Iterable[DeviceMessage]) -> list[LoadMessage]:
    """Return messages of a simulated device as messages of a load."""
    return [LoadMessage(each.topic.encode(), each.payload, retain=each.retain) for each in messages]
