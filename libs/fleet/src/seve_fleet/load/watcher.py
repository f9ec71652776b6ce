"""Screens under load: `python -m seve_fleet.load.watcher`, a process that benchmarks start beside `publisher`.

Counts by their numbers the samples of one load that each of its WebSocket clients receives, with the time of arrival.
Prints `live` once all clients are live. Then reads one line: how many samples to wait for. The last line of the output
is the result in JSON. The log is pairs of 64-bit integers: the sample's number, and the time its frame was read
(microseconds since 1970).
"""

import argparse
import asyncio
import sys
import time
from array import array
from pathlib import Path
from typing import Final, cast
from urllib.parse import urlsplit

import msgspec
import uvloop
from seve_runtime.clock import micros

from seve_fleet.load.frames import CLOSE, NUMBER, PING, Frame, Reader, pong, request

POLL_SECONDS: Final = 0.02
OPENING: Final = 64
"""Most handshakes at once."""


class WatchResult(msgspec.Struct, frozen=True):
    """Counts of the frames that all clients received. `repeated` has the numbers of samples that a client got twice."""

    clients: int
    seen: int
    repeated: list[int]
    gaps: int
    skipped: int
    lost: int
    cpu_seconds: float


class Watch:
    """Counts the samples numbered from `first`, at most `count`, of every client."""

    def __init__(self, first: int, count: int) -> None:
        self.first = first
        self.count = count
        self.log = array("q")
        self.repeated: list[int] = []
        self.seen = self.gaps = self.skipped = self.lost = 0
        self.newest = time.monotonic()

    def take(self, frames: list[Frame], counted: bytearray) -> None:
        """Note the samples in what one client read just now; `counted` has a byte for each sample it may see."""
        now = micros()
        for _, payload in frames:
            if payload.startswith((b'{"event":"gap"', b'{"event":"skipped"')):
                self.gaps += payload.startswith(b'{"event":"gap"')
                self.skipped += payload.startswith(b'{"event":"skipped"')
            for text in NUMBER.findall(payload):
                number = int(text) - self.first
                if 0 <= number < self.count:
                    self._note(number, now, counted)

    def _note(self, number: int, now: int, counted: bytearray) -> None:
        if counted[number]:
            self.repeated.append(number)
            return
        counted[number] = 1
        self.seen += 1
        self.log.append(number)
        self.log.append(now)
        self.newest = time.monotonic()


class Client(asyncio.Protocol):
    """One WebSocket client that subscribed in its URL."""

    def __init__(self, hello: bytes, watch: Watch) -> None:
        self._hello = hello
        self._watch = watch
        self._reader = Reader()
        self._counted = bytearray(watch.count)
        self.live = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the handshake."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance
        self._transport.write(self._hello)

    def data_received(self, data: bytes) -> None:
        """Count samples and answer pings."""
        frames = self._reader.feed(data)
        self._watch.take(frames, self._counted)
        for opcode, payload in frames:
            if opcode == PING:
                self._transport.write(pong(payload))
            elif opcode == CLOSE:
                self._transport.close()
            elif not self.live.done() and payload.startswith(b'{"event":"live"'):
                self.live.set_result(None)

    def close(self) -> None:
        """Close without a close frame."""
        self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        """Count the client as lost; the result says how many were."""
        self._watch.lost += 1
        if not self.live.done():
            self.live.set_exception(error or ConnectionResetError("the broadcaster closed the connection"))


async def connect_all(url: str, clients: int, watch: Watch) -> list[Client]:
    """Connect every client and return once all are live."""
    address, opening = urlsplit(url), asyncio.Semaphore(OPENING)
    hello = request(address.netloc, f"{address.path}?{address.query}")

    async def one() -> Client:
        async with opening:
            _, client = await asyncio.get_running_loop().create_connection(
                lambda: Client(hello, watch), address.hostname or "localhost", address.port or 80
            )
            await client.live
            return client

    return await asyncio.gather(*(one() for _ in range(clients)))


async def run(url: str, clients: int, watch: Watch, patience: float) -> WatchResult:
    """Watch until every client has as many samples as standard input says, or none came for `patience` seconds."""
    await connect_all(url, clients, watch)
    print("live", flush=True)  # noqa: T201  (a command prints)
    used = time.process_time()
    expected = clients * int(await asyncio.to_thread(sys.stdin.readline) or 0)
    started = time.monotonic()
    while watch.seen < expected and time.monotonic() - max(watch.newest, started) < patience:  # noqa: ASYNC110
        await asyncio.sleep(POLL_SECONDS)
    spent = time.process_time() - used
    return WatchResult(clients, watch.seen, watch.repeated, watch.gaps, watch.skipped, watch.lost, spent)


def main() -> int:
    """Run the command."""
    arguments = argparse.ArgumentParser(prog="python -m seve_fleet.load.watcher", description=__doc__)
    arguments.add_argument("url", help="ws://host:port/ws?module=…")
    arguments.add_argument("--clients", type=int, default=1, help="WebSocket connections (1)")
    arguments.add_argument("--first", type=int, required=True, help="value of the first sample")
    arguments.add_argument("--count", type=int, required=True, help="most samples that will come")
    arguments.add_argument("--patience", type=float, default=20, help="seconds without a sample before it ends (20)")
    arguments.add_argument("--log", type=Path, help="file for numbers and arrival times")
    options = arguments.parse_args()
    watch = Watch(options.first, options.count)
    try:
        result = uvloop.run(run(options.url, options.clients, watch, options.patience))
    except OSError as error:
        print(f"the watcher failed: {error}", file=sys.stderr)  # noqa: T201
        return 1
    if options.log:
        options.log.write_bytes(watch.log.tobytes())
    print(msgspec.json.encode(result).decode(), flush=True)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
