"""Lets a fleet publish: births and configurations, samples at an even rate, regular reports, `offline` at the end.

Adds sent and acknowledged messages to the account. Reads neither the WebSocket nor the database.
"""

import asyncio
import time
from collections.abc import Sequence
from functools import partial
from itertools import count
from typing import Final, NamedTuple

from seve_runtime.clock import micros

from seve_fleet.simulate.account import Account
from seve_fleet.simulate.device import DeviceMessage, SimulatedModule
from seve_fleet.simulate.drift import COURSES
from seve_fleet.simulate.mqtt import Link
from seve_fleet.simulate.schedule import Schedule

TICK_SECONDS: Final = 0.005
MOST_A_TICK: Final = 200


class Workload(NamedTuple):
    """Samples per second of all modules, for how many seconds, and seconds between two reports of a module."""

    rate: float
    seconds: float
    report_seconds: float


class Fleet:
    """Modules on links; module i uses link i modulo their number."""

    def __init__(self, modules: Sequence[SimulatedModule], links: Sequence[Link], account: Account) -> None:
        self._modules = modules
        self._links = links
        self._account = account
        self.reporters: set[int] = set()
        """Indices of the modules that have reported the status of their sensors."""

    async def say(self, messages: Sequence[tuple[int, DeviceMessage]]) -> None:
        """Publish reports, each of the module with that index, as links have room."""
        for module, message in messages:
            link = await self._link_with_room(module)
            self._account.reports_sent += 1
            link.publish(message, self._reported)

    async def introduce(self) -> None:
        """Publish births and retained configurations."""
        await self.say([(i, message) for i, module in enumerate(self._modules) for message in _first(module)])

    async def leave(self) -> None:
        """Publish `offline` of every module, as its last will would."""
        await self.say([(i, module.will()) for i, module in enumerate(self._modules)])

    async def work(self, workload: Workload) -> None:
        """Publish samples and reports until all samples of the workload are sent."""
        reporter = asyncio.create_task(self._report(workload.report_seconds))
        try:
            await self._sample(Schedule(workload.rate, workload.seconds))
        finally:
            reporter.cancel()
            await asyncio.wait((reporter,))

    async def _sample(self, schedule: Schedule) -> None:
        start = time.monotonic()
        while not schedule.done:
            for number in schedule.take(time.monotonic() - start, MOST_A_TICK):
                await self._send_sample(number)
            await asyncio.sleep(TICK_SECONDS)

    async def _send_sample(self, number: int) -> None:
        """Publish sample `number` of the run: modules send in turn, each for its sensors in turn."""
        turn, module_index = divmod(number, len(self._modules))
        module = self._modules[module_index]
        link = await self._link_with_room(module_index)
        message, moment = module.sample(turn % len(COURSES), micros())
        if module.clock:
            key = (message.topic, moment)
            self._account.send(key)
            link.publish(message, partial(self._account.acknowledge, key))
        else:
            self._account.clockless_sent += 1
            link.publish(message, _nothing)

    async def _report(self, every: float) -> None:
        """Publish the reports of each module every `every` seconds, spread evenly."""
        start = time.monotonic()
        for turn in count():
            index = turn % len(self._modules)
            await self.say([(index, message) for message in self._modules[index].reports(micros())])
            self.reporters.add(index)
            await asyncio.sleep(max(0.0, start + (turn + 1) * every / len(self._modules) - time.monotonic()))

    async def _link_with_room(self, module: int) -> Link:
        link = self._links[module % len(self._links)]
        while link.room <= 0:  # noqa: ASYNC110  (too rare for an event to pay off)
            await asyncio.sleep(TICK_SECONDS)
        return link

    def _reported(self) -> None:
        self._account.reports_acknowledged += 1


def _first(module: SimulatedModule) -> list[DeviceMessage]:
    return [module.birth(), *module.configs()]


def _nothing() -> None:
    """Ignore that a message at QoS 0 was sent: its delivery is not guaranteed."""
