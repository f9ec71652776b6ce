"""A publisher at high rates, `python -m seve_fleet.load.publisher`: a process of its own that benchmarks start.

Sends samples with the device's time, so that whoever reads them knows when they were published, on few connections; at
QoS 1 with a bounded window a connection (overflow rule: wait; the rate falls behind and says so). It does not connect
again: a load that broke off is no measurement. The last line of its output is the result in JSON.
"""

import argparse
import asyncio
import os
import sys
import time
from typing import Final, NamedTuple, cast
from urllib.parse import urlsplit

import msgspec
import uvloop
from seve_schema.times import format_time

from seve_fleet.load.packets import DISCONNECT, Answers, connect, publish
from seve_fleet.simulate.drift import COURSES, value
from seve_fleet.simulate.pace import Pace

TICK_SECONDS: Final = 0.002
MOST_A_TICK: Final = 500
VALUES: Final = 8


class Load(NamedTuple):
    """What to publish: samples a second in all, for how long, of how many modules, on how many connections."""

    broker: str
    rate: float
    seconds: float
    modules: int = 50
    connections: int = 4
    window: int = 2000
    qos: int = 1
    prefix: str = "load"
    patience: float = 60.0


class Result(msgspec.Struct, frozen=True):
    """What came of a load; sending took `seconds`, where a load that kept its pace takes `planned`."""

    prefix: str
    sent: int
    acknowledged: int
    seconds: float
    planned: float
    cpu_seconds: float


class Connection(asyncio.Protocol):
    """One MQTT connection with its window of packets that wait for their PUBACK."""

    def __init__(self, client_id: str, window: int, username: str | None, password: str | None) -> None:
        self._hello = connect(client_id, username=username, password=password)
        self._answers = Answers()
        self._window = window
        self._packet_id = 0
        self._waiting: set[int] = set()
        self.acknowledged = 0
        self.open = asyncio.get_running_loop().create_future()
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def room(self) -> int:
        """How many may be sent now; none while the socket is full."""
        return 0 if self._transport.get_write_buffer_size() > 1 << 20 else self._window - len(self._waiting)

    @property
    def waiting(self) -> int:
        """How many wait for their PUBACK."""
        return len(self._waiting)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say CONNECT."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance
        self._transport.write(self._hello)

    def data_received(self, data: bytes) -> None:
        """Note what the broker acknowledged."""
        acknowledged = self._answers.feed(data)
        self._waiting.difference_update(acknowledged)
        self.acknowledged += len(acknowledged)
        if self._answers.refused is not None and not self.open.done():
            self._took_in(self._answers.refused)

    def _took_in(self, code: int) -> None:
        if code:
            self.open.set_exception(ConnectionRefusedError(f"the broker refused the connection with code {code}"))
        else:
            self.open.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        """The load breaks off."""
        for future in (self.open, self.lost):
            if not future.done():
                future.set_exception(error or ConnectionResetError("the broker closed the connection"))

    def send(self, messages: list[tuple[bytes, bytes]], qos: int) -> None:
        """Publish topics with payloads; there must be room for them."""
        if qos == 0:
            self._transport.write(b"".join(publish(topic, payload, 0) for topic, payload in messages))
            return
        packets = []
        for topic, payload in messages:
            self._packet_id = self._packet_id % 65535 + 1
            self._waiting.add(self._packet_id)
            packets.append(publish(topic, payload, self._packet_id))
        self._transport.write(b"".join(packets))

    def close(self) -> None:
        """Say goodbye; the loss that follows is none."""
        if not self.lost.done():
            self.lost.set_result(None)
        self._transport.write(DISCONNECT)
        self._transport.close()


class Samples:
    """The messages of a load: modules take turns, each with its sensors in turn, times strictly rising."""

    def __init__(self, prefix: str, modules: int) -> None:
        self._topics = [f"{prefix}-{m:03d}/{sensor}".encode() for sensor in COURSES for m in range(modules)]
        self._values = [
            [str(value(COURSES[sensor], m, turn * 60.0)) for turn in range(VALUES)]
            for sensor in COURSES
            for m in range(modules)
        ]
        self._last = 0

    def take(self, numbers: range, now: int) -> list[tuple[bytes, bytes]]:
        """Messages of those numbers, published `now` (microseconds since 1970)."""
        topics, values = self._topics, self._values
        first = max(now, self._last + 1)
        self._last = first + len(numbers)
        messages = []
        for place, number in enumerate(numbers):
            turn, series = divmod(number, len(topics))
            payload = f'{{"value":{values[series][turn % VALUES]},"time":"{format_time(first + place)}"}}'
            messages.append((topics[series], payload.encode()))
        return messages


async def run(load: Load) -> Result:
    """Publish the whole load and wait for its acknowledgements, at most `patience` seconds after the last."""
    connections = [await _open(load, number) for number in range(load.connections)]
    samples, pace = Samples(load.prefix, load.modules), Pace(load.rate, load.seconds)
    used, started = time.process_time(), time.monotonic()
    turn = 0
    while not pace.done:
        connection = connections[turn % len(connections)]
        if connection.lost.done():
            connection.lost.result()
        numbers = pace.take(time.monotonic() - started, min(MOST_A_TICK, connection.room))
        if numbers:
            connection.send(samples.take(numbers, time.time_ns() // 1000), load.qos)
        turn += 1
        await asyncio.sleep(0 if numbers and len(numbers) == MOST_A_TICK else TICK_SECONDS)
    took = time.monotonic() - started
    await _acknowledged(connections, load.patience)
    acknowledged = sum(connection.acknowledged for connection in connections) if load.qos else pace.taken
    for connection in connections:
        connection.close()
    return Result(load.prefix, pace.taken, acknowledged, took, load.seconds, time.process_time() - used)


async def _open(load: Load, number: int) -> Connection:
    address = urlsplit(load.broker)
    client_id = f"{load.prefix}-{os.getpid()}-{number}"
    _, connection = await asyncio.get_running_loop().create_connection(
        lambda: Connection(client_id, load.window, address.username, address.password),
        address.hostname or "localhost",
        address.port or 1883,
    )
    await connection.open
    return connection


async def _acknowledged(connections: list[Connection], patience: float) -> None:
    deadline = time.monotonic() + patience
    while any(connection.waiting for connection in connections) and time.monotonic() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(TICK_SECONDS)


def main() -> int:
    """Run the command: exit code 1 where something was not acknowledged."""
    words = argparse.ArgumentParser(prog="python -m seve_fleet.load.publisher", description=__doc__)
    words.add_argument("broker", help="mqtt://[user:password@]host:port")
    words.add_argument("--rate", type=float, default=1000, help="samples a second (1000)")
    words.add_argument("--seconds", type=float, default=10, help="for how long (10)")
    words.add_argument("--modules", type=int, default=50, help="modules that take turns (50)")
    words.add_argument("--connections", type=int, default=4, help="MQTT connections (4)")
    words.add_argument("--window", type=int, default=2000, help="unacknowledged messages a connection (2000)")
    words.add_argument("--qos", type=int, choices=(0, 1), default=1)
    words.add_argument("--prefix", default="load", help="modules are named PREFIX-000 and so on")
    words.add_argument("--patience", type=float, default=60, help="seconds to wait for the last PUBACK (60)")
    try:
        result = uvloop.run(run(Load(**vars(words.parse_args()))))
    except OSError as error:
        print(f"the load broke off: {error}", file=sys.stderr)  # noqa: T201  (a command prints)
        return 1
    print(msgspec.json.encode(result).decode(), flush=True)  # noqa: T201
    return 0 if result.sent == result.acknowledged else 1


if __name__ == "__main__":
    sys.exit(main())
