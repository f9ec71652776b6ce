"""Runs the simulated fleet against a stack, from births to the closing account. Only wires the other modules."""

import asyncio
import secrets
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from seve_runtime.clock import micros
from seve_schema.simulated import simulated_name
from seve_schema.times import parse_time, to_micros

from seve_fleet.settings import FleetSettings
from seve_fleet.simulate.account import Account, describe_samples
from seve_fleet.simulate.database import CommandDatabase, RunRows, Unreachable, UrlDatabase
from seve_fleet.simulate.device import KNOWN_MODELS, SimulatedModule
from seve_fleet.simulate.fleet import Fleet, Workload
from seve_fleet.simulate.mqtt import Link
from seve_fleet.simulate.report import Viewing, closing, progress
from seve_fleet.simulate.result import Outcome, outcome
from seve_fleet.simulate.ws import Screen, Shown

POLL_SECONDS: Final = 0.25
LINE_SECONDS: Final = 2.0
"""Seconds between two lines of progress. A terminal shows one line that changes every second instead."""


class Shape(NamedTuple):
    """The fleet of a run: how many modules, how many of them without a clock, how many connections (0: one each).

    `devices` has the modules' names and passwords if they have identities; otherwise the run names its modules.
    """

    modules: int
    clockless: int
    connections: int
    workload: Workload
    devices: Sequence[tuple[str, str]] = ()


class Run:
    """One run. Its modules are named after it, so that it counts only its own."""

    def __init__(self, settings: FleetSettings, shape: Shape, out: Callable[[str], None]) -> None:
        self._settings = settings
        self._shape = shape
        self._out = out
        self.outcome: Outcome | None = None
        """Set at the end of the run."""
        run = secrets.token_hex(3)
        self.name = f"sim-{run}"
        self.account = Account()
        self._reporters = 0
        names = [name for name, _ in shape.devices] or [simulated_name(run, i) for i in range(shape.modules)]
        self.modules = [
            SimulatedModule(name, i, clock=i >= shape.clockless, boot=micros()) for i, name in enumerate(names)
        ]
        self._names = frozenset(names)
        command, url = settings.query_command, settings.database_url.reveal()
        database = CommandDatabase(command) if command else UrlDatabase(url)
        self.stored = RunRows(database, names)
        token = settings.ws_token.reveal() if settings.ws_token else None
        self._tls = settings.mqtt_tls()
        self.screen = Screen(settings.ws_url, self._see, modules=["*"], token=token, tls=settings.ws_tls())

    async def go(self) -> int:
        """Run; return the exit code, 0 if the account closes."""
        async with asyncio.TaskGroup() as group:
            await self._stored_now()
            background = [group.create_task(self.screen.run())]
            await self._until_live()
            links = await self._links(group, background)
            self._out(f"{self.name}: {len(self.modules)} modules on {len(links)} MQTT connections")
            started = time.monotonic()
            background.append(group.create_task(self._progress(started)))
            worked = await self._work(Fleet(self.modules, links, self.account))
            await self._settle()
            for task in background:
                task.cancel()
        return await self._close(worked)

    async def _work(self, fleet: Fleet) -> float:
        """Let the fleet publish everything; return how long its samples took (seconds)."""
        await fleet.introduce()
        started = time.monotonic()
        await fleet.work(self._shape.workload)
        worked = time.monotonic() - started
        await fleet.leave()
        self._reporters = len(fleet.reporters)
        return worked

    async def _stored_now(self) -> None:
        """Raise ConnectionError if the database does not answer: there would be no account."""
        try:
            await self.stored.samples()
        except Unreachable as error:
            raise ConnectionError(f"the database does not answer: {error}") from error

    async def _until_live(self) -> None:
        try:
            async with asyncio.timeout(self._settings.patience):
                await self.screen.live.wait()
        except TimeoutError:
            last = self.screen.errors[-1] if self.screen.errors else "no answer"
            raise ConnectionError(f"no live WebSocket at {self._settings.ws_url}: {last}") from None

    async def _links(self, group: asyncio.TaskGroup, background: list[asyncio.Task[None]]) -> list[Link]:
        settings, count = self._settings, self._shape.connections or len(self.modules)
        shared = settings.mqtt_username, settings.mqtt_password.reveal() if settings.mqtt_password else None
        logins: Sequence[tuple[str | None, str | None]] = self._shape.devices or [shared] * count
        links = []
        for module, (username, password) in zip(self.modules[:count], logins, strict=True):
            link = Link(
                settings.mqtt_broker,
                module.name,
                module.will(),
                username=username,
                password=password,
                tls=self._tls,
            )
            background.append(group.create_task(link.run()))
            links.append(link)
        try:
            async with asyncio.timeout(settings.patience):
                for link in links:
                    await link.connected.wait()
        except TimeoutError:
            raise ConnectionError(f"no MQTT broker at {settings.mqtt_broker}") from None
        return links

    def _see(self, shown: Shown, arrived: int) -> None:
        if shown.module_id not in self._names:
            return
        if shown.kind != "measurement":
            self.account.reports_seen += not shown.retained
        elif shown.clock == "device":
            self.account.see((shown.topic, to_micros(parse_time(shown.time))), arrived)
        else:
            self.account.clockless_seen += 1

    async def _progress(self, started: float) -> None:
        terminal = sys.stdout.isatty()
        while True:
            await asyncio.sleep(1 if terminal else LINE_SECONDS)
            try:
                stored = str(await self.stored.samples())
            except Unreachable:
                stored = "?"
            line = progress(self.account, time.monotonic() - started, stored)
            self._out(f"\r\x1b[K{line}" if terminal else line)

    async def _settle(self) -> None:
        """Wait until everything arrived everywhere, at most `PATIENCE`."""
        deadline = time.monotonic() + self._settings.patience
        while time.monotonic() < deadline:
            if self.account.settled(gaps=bool(self.screen.gaps)):
                with suppress(Unreachable):
                    if await self._all_stored():
                        return
            await asyncio.sleep(POLL_SECONDS)

    async def _all_stored(self) -> bool:
        expected = self.account.sent + self.account.clockless_seen
        return await self.stored.samples() >= expected and self._missing_rows(await self.stored.device_rows()) == []

    def _missing_rows(self, there: dict[str, int]) -> list[str]:
        wanted = dict.fromkeys(there, len(self.modules))
        wanted["sensor_config"] = len(self.modules) * len(KNOWN_MODELS)
        wanted["sensor_status"] = self._reporters * len(KNOWN_MODELS)
        return [
            f"{table} has {there[table]} rows of this run, not {count}"
            for table, count in wanted.items()
            if there[table] != count
        ]

    async def _close(self, worked: float) -> int:
        faults = self.account.faults()
        keys, rows, unreadable = [], [], None
        try:
            keys = await self.stored.keys()
            rows = self._missing_rows(await self.stored.device_rows())
        except Unreachable as error:
            unreadable = f"the database cannot be read: {error}"
        self.outcome = outcome(self.account, self.screen, keys, rows, unreadable, run=self.name)
        missing = [] if unreadable else self.outcome.unstored
        stored = None if unreadable else self.account.sent - len(missing)
        faults += [describe_samples("never stored", missing)] if missing else []
        faults += [unreadable] if unreadable else rows
        screen = Viewing(self.screen.connections, self.screen.gaps)
        for line in closing(self.account, stored, worked, screen, faults):
            self._out(line)
        return 1 if faults else 0
