"""A publisher at high rates, `python -m seve_fleet.load.publisher`: a process of its own that benchmarks start.

Every sample's value is its number, so that rows and frames can be matched with the log, which has the time each was
sent (64-bit integers, microseconds since 1970, in order). At QoS 1 at most `window` messages wait for their PUBACK
(overflow rule: wait; the rate falls behind and the result says so). With `--arrive` each connection is a device that
connects, publishes its birth, configurations and status, and then takes its turn with samples; all connect at once.
The last line of its output is the result in JSON.
"""

import argparse
import asyncio
import os
import sys
import time
from array import array
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import msgspec
import uvloop

from seve_fleet.load.connection import Connection, Tally
from seve_fleet.load.samples import FORMS, Samples
from seve_fleet.simulate.device import Module
from seve_fleet.simulate.pace import Pace

TICK_SECONDS: Final = 0.001
MOST_A_TICK: Final = 500
OPENING: Final = 256
"""Connections under way at once: as many as brokers let wait to be accepted."""


class Load(NamedTuple):
    """What to publish: samples per second in all, for how long, of how many modules, on how many connections."""

    broker: str
    rate: float = 1000
    seconds: float = 10
    modules: int = 2000
    connections: int = 4
    window: int = 8000
    qos: int = 1
    prefix: str = "load"
    form: str = "bare"
    first: int = 1_000_000
    arrive: bool = False
    patience: float = 60.0
    log: Path | None = None


class Result(msgspec.Struct, frozen=True):
    """What came of a load. Sending took `seconds`; a load that kept its pace takes `planned`. `connecting` is how long
    the connections took; `ceiling` the samples per second at which this process would need a core for itself.
    """

    sent: int
    acknowledged: int
    seconds: float
    planned: float
    cpu_seconds: float
    ceiling: float
    connecting: float
    reports: int


class Publisher:
    """One load under way."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.samples = Samples(load.prefix, load.modules, load.form, load.first)
        self.pace = Pace(load.rate, load.seconds)
        self.connections: list[Connection] = []
        self.tally = Tally()
        self.log = array("q")
        self.reports = 0
        self.connecting = 0.0

    async def run(self) -> Result:
        """Publish the whole load and wait for its acknowledgements, at most `patience` seconds after the last."""
        started = time.monotonic()
        opening = asyncio.create_task(self._open_all(started))
        if not self.load.arrive:
            await opening
        used, started = time.process_time(), time.monotonic()
        await self._publish(started)
        took = time.monotonic() - started
        await opening
        await self._acknowledged()
        cpu = time.process_time() - used
        acknowledged = self.pace.taken - self.tally.waiting
        for connection in self.connections:
            connection.close()
        return Result(
            self.pace.taken,
            acknowledged,
            took,
            self.load.seconds,
            cpu,
            self.pace.taken / max(cpu, 1e-3),
            self.connecting,
            self.reports,
        )

    async def _open_all(self, started: float) -> None:
        gate = asyncio.Semaphore(OPENING)
        address = urlsplit(self.load.broker)

        async def one(number: int) -> None:
            async with gate:
                name = f"{self.load.prefix}-{os.getpid()}-{number}"
                _, connection = await asyncio.get_running_loop().create_connection(
                    lambda: Connection(name, self.tally, address.username, address.password),
                    address.hostname or "localhost",
                    address.port or 1883,
                )
                await connection.open
            if self.load.arrive:
                self._introduce(connection, number)
            self.connections.append(connection)

        await asyncio.gather(*(one(number) for number in range(self.load.connections)))
        self.connecting = time.monotonic() - started

    def _introduce(self, connection: Connection, number: int) -> None:
        """Birth, configurations and status, as a device publishes them once it is connected."""
        now = time.time_ns() // 1000
        module = Module(f"{self.load.prefix}-{number:05d}", number, boot=now)
        for message in (module.birth(), *module.configs(), *module.reports(now)):
            connection.send([(message.topic.encode(), message.payload)], message.qos, retain=message.retain)
            self.reports += 1

    async def _publish(self, started: float) -> None:
        pace, load = self.pace, self.load
        while not pace.done:
            if self.tally.error:
                raise self.tally.error
            room = load.window if load.arrive else load.window - self.tally.waiting
            most = min(MOST_A_TICK, room) if self.connections else 0
            numbers = pace.take(time.monotonic() - started, most)
            if numbers:
                self._send(numbers)
            await asyncio.sleep(0 if len(numbers) == MOST_A_TICK else TICK_SECONDS)

    def _send(self, numbers: range) -> None:
        """Each sample on its module's connection; while devices arrive, on one of those that are there."""
        samples, among = self.samples, len(self.connections)
        now = time.time_ns() // 1000
        together: dict[int, list[tuple[bytes, bytes]]] = {}
        for number in numbers:
            module = number % self.load.modules
            topic = samples.of(module % among, number // among) if self.load.arrive else samples.topic(number)
            together.setdefault(module % among, []).append((topic, samples.payload(number, now)))
        for place, messages in together.items():
            self.connections[place].send(messages, self.load.qos)
        self.log.extend([now] * len(numbers))

    async def _acknowledged(self) -> None:
        deadline = time.monotonic() + self.load.patience
        while self.tally.waiting and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(TICK_SECONDS)


def main() -> int:
    """Run the command: exit code 1 where something was not acknowledged."""
    words = argparse.ArgumentParser(prog="python -m seve_fleet.load.publisher", description=__doc__)
    plain = Load("")
    words.add_argument("broker", help="mqtt://[user:password@]host:port")
    words.add_argument("--rate", type=float, default=plain.rate, help="samples per second (1000)")
    words.add_argument("--seconds", type=float, default=plain.seconds, help="for how long (10)")
    words.add_argument("--modules", type=int, default=plain.modules, help="modules that take turns (2000)")
    words.add_argument("--connections", type=int, default=plain.connections, help="MQTT connections (4)")
    words.add_argument("--window", type=int, default=plain.window, help="most messages without PUBACK (8000)")
    words.add_argument("--qos", type=int, choices=(0, 1), default=plain.qos)
    words.add_argument("--prefix", default=plain.prefix, help="modules are named PREFIX-00000 and so on")
    words.add_argument("--form", choices=FORMS, default=plain.form, help="of the payload (bare)")
    words.add_argument("--first", type=int, default=plain.first, help="value of the first sample (1000000)")
    words.add_argument("--arrive", action="store_true", help="devices arrive at once, and introduce themselves")
    words.add_argument("--patience", type=float, default=plain.patience, help="seconds to wait for PUBACKs (60)")
    words.add_argument("--log", type=Path, help="file for the times of sending")
    publisher = None
    try:
        publisher = Publisher(Load(**vars(words.parse_args())))
        result = uvloop.run(publisher.run())
    except OSError as error:
        print(f"the load broke off: {error}", file=sys.stderr)  # noqa: T201  (a command prints)
        return 1
    if publisher.load.log:
        publisher.load.log.write_bytes(publisher.log.tobytes())
    print(msgspec.json.encode(result).decode(), flush=True)  # noqa: T201
    return 0 if result.sent == result.acknowledged else 1


if __name__ == "__main__":
    sys.exit(main())
