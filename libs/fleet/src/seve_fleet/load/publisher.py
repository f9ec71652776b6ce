"""Publishes at high rates: `python -m seve_fleet.load.publisher`, a process that benchmarks start.

The value of a sample is its number, so that rows and frames can be matched with the log, which has the time of sending
of each sample (64-bit integers, microseconds since 1970, in order). At QoS 1 at most `window` messages wait for their
PUBACK (overflow rule: block; the rate then falls behind, as the result shows). With `--arrive` each connection is a
device: all connect at once, publish birth, configurations and status, and then send samples in turn. With `--day` the
rate rises and falls. The last line of the output is the result in JSON.
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
from seve_runtime.clock import micros

from seve_fleet.load.arrival import ArrivingFleet
from seve_fleet.load.connection import Connection, LoadMessage, Tally
from seve_fleet.load.samples import FORMS, Samples
from seve_fleet.simulate.schedule import Schedule

TICK_SECONDS: Final = 0.001
MOST_A_TICK: Final = 500
OPENING: Final = 256
"""Most connections that are being opened at a time: as many as a broker's accept queue usually holds."""


class Load(NamedTuple):
    """The load to publish: `rate` samples per second for `seconds`, of `modules` modules on `connections` connections.

    `report_every` (with `arrive`) and `day` are in seconds; 0 means never.
    """

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
    report_every: float = 0.0
    swing: float = 0.0
    day: float = 0.0
    patience: float = 60.0
    log: Path | None = None


class Result(msgspec.Struct, frozen=True):
    """The result of a load. Sending took `seconds` (`planned`, if the rate was kept), connecting took `connecting`
    seconds. `ceiling` is the number of samples per second at which this process would need a whole core. With
    `--arrive`, `reconnects` counts reconnections of devices, and `repeated` has the numbers of samples they repeated.
    """

    sent: int
    acknowledged: int
    seconds: float
    planned: float
    cpu_seconds: float
    ceiling: float
    connecting: float
    reports: int
    reconnects: int
    repeated: list[int]


class LoadPublisher:
    """Publishes one load."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.samples = Samples(load.prefix, load.modules, load.form, load.first)
        self.schedule = Schedule(load.rate, load.seconds, swing=load.swing, day=load.day)
        self.tally = Tally()
        self.log = array("q")
        self.arrival = ArrivingFleet(load.prefix, self._connect)
        self._connections: list[Connection] = []
        self._gate = asyncio.Semaphore(OPENING)

    async def run(self) -> Result:
        """Publish the whole load and wait for its acknowledgements, at most `patience` seconds after the last
        message.
        """
        opening = asyncio.create_task(self._open_all())
        if not self.load.arrive:
            await opening
        used, started = time.process_time(), time.monotonic()
        await self._publish(started)
        took = time.monotonic() - started
        connecting = await opening
        await self._acknowledged()
        cpu = time.process_time() - used
        result = Result(
            sent=self.schedule.taken,
            acknowledged=self.schedule.taken - self.tally.waiting,
            seconds=took,
            planned=self.load.seconds,
            cpu_seconds=cpu,
            ceiling=self.schedule.taken / max(cpu, 1e-3),
            connecting=connecting,
            reports=self.arrival.reports,
            reconnects=self.arrival.reconnects,
            repeated=sorted(self.arrival.repeated),
        )
        await self.arrival.close()
        for connection in self._connections:
            connection.close()
        return result

    async def _open_all(self) -> float:
        """Open all connections; return how long that took (seconds)."""
        started = time.monotonic()
        if self.load.arrive:
            self.arrival.start(self.load.connections, self.load.report_every)
            await self.arrival.complete()
        else:
            self._connections = await asyncio.gather(*map(self._connect, range(self.load.connections)))
        return time.monotonic() - started

    async def _connect(self, number: int) -> Connection:
        """Return a connection that the broker has accepted."""
        address, name = urlsplit(self.load.broker), f"{self.load.prefix}-{os.getpid()}-{number}"
        async with self._gate:
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: Connection(name, self.tally, (address.username, address.password), keep=self.load.arrive),
                address.hostname or "localhost",
                address.port or 1883,
            )
            await connection.open
        return connection

    async def _publish(self, started: float) -> None:
        schedule, load, tally = self.schedule, self.load, self.tally
        send = self._send_arrived if load.arrive else self._send
        while not schedule.done:
            if tally.error:
                raise tally.error
            ready = self.arrival.ready if load.arrive else tally.waiting < load.window
            most = min(MOST_A_TICK, MOST_A_TICK if load.arrive else load.window - tally.waiting) if ready else 0
            numbers = schedule.take(time.monotonic() - started, most)
            if numbers:
                now = micros()
                send(numbers, now)
                self.log.extend([now] * len(numbers))
            await asyncio.sleep(0 if len(numbers) == MOST_A_TICK else TICK_SECONDS)

    def _send(self, numbers: range, now: int) -> None:
        """Send each sample on its module's connection, in one write per connection."""
        samples, among, together = self.samples, len(self._connections), dict[int, list[LoadMessage]]()
        for number in numbers:
            message = LoadMessage(samples.topic(number), samples.payload(number, now))
            together.setdefault(number % self.load.modules % among, []).append(message)
        for place, messages in together.items():
            self._connections[place].send(messages, self.load.qos)

    def _send_arrived(self, numbers: range, now: int) -> None:
        """Send each sample by one of the connected devices, in turn."""
        samples, here = self.samples, self.arrival.here
        for number in numbers:
            device, connection = here[number % len(here)]
            topic = samples.of(device, number // len(here))
            connection.send([LoadMessage(topic, samples.payload(number, now), number)], self.load.qos)

    async def _acknowledged(self) -> None:
        deadline = time.monotonic() + self.load.patience
        while self.tally.waiting and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(TICK_SECONDS)


def main() -> int:
    """Run the command: exit code 1 if a message was not acknowledged."""
    options = argparse.ArgumentParser(prog="python -m seve_fleet.load.publisher", description=__doc__)
    plain = Load("")
    options.add_argument("broker", help="mqtt://[user:password@]host:port")
    options.add_argument("--rate", type=float, default=plain.rate, help="samples per second (1000)")
    options.add_argument("--seconds", type=float, default=plain.seconds, help="for how long (10)")
    options.add_argument("--modules", type=int, default=plain.modules, help="modules that send in turn (2000)")
    options.add_argument("--connections", type=int, default=plain.connections, help="MQTT connections (4)")
    options.add_argument("--window", type=int, default=plain.window, help="most messages without PUBACK (8000)")
    options.add_argument("--qos", type=int, choices=(0, 1), default=plain.qos)
    options.add_argument("--prefix", default=plain.prefix, help="modules are named PREFIX-00000 and so on")
    options.add_argument("--form", choices=FORMS, default=plain.form, help="of the payload (bare)")
    options.add_argument("--first", type=int, default=plain.first, help="value of the first sample (1000000)")
    options.add_argument("--arrive", action="store_true", help="devices connect all at once and publish introductions")
    options.add_argument(
        "--report-every", type=float, default=0.0, help="with --arrive: seconds between reports (none)"
    )
    options.add_argument("--swing", type=float, default=0.0, help="share by which the rate rises and falls (0)")
    options.add_argument("--day", type=float, default=0.0, help="seconds from one low of the rate to the next (none)")
    options.add_argument("--patience", type=float, default=plain.patience, help="seconds to wait for PUBACKs (60)")
    options.add_argument("--log", type=Path, help="file for the times of sending")
    publisher = None
    try:
        publisher = LoadPublisher(Load(**vars(options.parse_args())))
        result = uvloop.run(publisher.run())
    except OSError as error:
        print(f"the load failed: {error}", file=sys.stderr)  # noqa: T201  (a command prints)
        return 1
    if publisher.load.log:
        publisher.load.log.write_bytes(publisher.log.tobytes())
    print(msgspec.json.encode(result).decode(), flush=True)  # noqa: T201
    return 0 if result.sent == result.acknowledged else 1


if __name__ == "__main__":
    sys.exit(main())
