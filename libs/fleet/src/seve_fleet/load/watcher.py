"""Watches a load as WebSocket clients do: `python -m seve_fleet.load.watcher`, which benchmarks start with `publisher`.

Counts the samples of one load that each client receives, by their numbers, and logs when they arrive. Prints `live`
once all clients are live, and then reads one line: the number of samples to wait for. The last line of the output is
the result in JSON. The log has pairs of 64-bit integers: the sample's number, and the time its frame was read
(microseconds since 1970). With `--resume` a client that loses its connection reconnects and resumes; with `--stay` it
leaves after a while and returns as a new client.
"""

import argparse
import asyncio
import random
import sys
import time
from array import array
from contextlib import suppress
from pathlib import Path
from typing import Final, cast
from urllib.parse import urlsplit

import msgspec
import uvloop
from seve_runtime.clock import micros

from seve_fleet.load.frames import CLOSE, NUMBER, PING, TOKEN, Frame, Reader, pong, request

POLL_SECONDS: Final = 0.02
OPENING: Final = 64
"""Most handshakes at once."""
BACK_AFTER: Final = (0.2, 2.0)
"""Seconds until a client reconnects: uniformly distributed between these."""
LIVE_SECONDS: Final = 60.0


class WatchResult(msgspec.Struct, frozen=True):
    """Counts of the frames that all clients received. `repeated` has the numbers of samples that a client got twice,
    `lost` counts connections that ended.
    """

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
        """Note the samples in frames that one client has just read; `counted` has a byte for each sample of the
        load.
        """
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


class Seat:
    """The state of one client across its connections: the samples it got, and the `token` with which it resumes."""

    def __init__(self, watch: Watch) -> None:
        self.counted = bytearray(watch.count)
        self.token = b""


class WatcherClient(asyncio.Protocol):
    """One connection of a WebSocket client that subscribed in its URL."""

    def __init__(self, hello: bytes, watch: Watch, seat: Seat) -> None:
        self._hello = hello
        self._watch = watch
        self._reader = Reader()
        self._seat = seat
        loop = asyncio.get_running_loop()
        self.live: asyncio.Future[None] = loop.create_future()
        self.gone: asyncio.Future[None] = loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the handshake."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's class does not inherit from it
        self._transport.write(self._hello)

    def data_received(self, data: bytes) -> None:
        """Count samples, note the token and answer pings."""
        frames = self._reader.feed(data)
        self._watch.take(frames, self._seat.counted)
        for opcode, payload in frames:
            if opcode == PING:
                self._transport.write(pong(payload))
            elif opcode == CLOSE:
                self._transport.close()
            elif not self.live.done() and payload.startswith(b'{"event":"live"'):
                self.live.set_result(None)
            if found := TOKEN.match(payload):
                self._seat.token = found[1]

    def close(self) -> None:
        """Close without a close frame."""
        self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        """Count the connection as lost."""
        self._watch.lost += 1
        self.gone.set_result(None)
        if not self.live.done():
            self.live.set_exception(error or ConnectionResetError("the broadcaster closed the connection"))


async def opened(url: str, watch: Watch, seat: Seat) -> WatcherClient:
    """Connect and return a client once it is live; it resumes if its seat has a token. Raises OSError."""
    address = urlsplit(url)
    since = f"&since={seat.token.decode()}" if seat.token else ""
    hello = request(address.netloc, f"{address.path}?{address.query}{since}")
    _, client = await asyncio.get_running_loop().create_connection(
        lambda: WatcherClient(hello, watch, seat), address.hostname or "localhost", address.port or 80
    )
    try:
        async with asyncio.timeout(LIVE_SECONDS):
            await client.live
    except BaseException:
        client.close()
        raise
    return client


async def connect_all(url: str, clients: int, watch: Watch) -> list[WatcherClient]:
    """Connect every client and return once all are live."""
    opening = asyncio.Semaphore(OPENING)

    async def one() -> WatcherClient:
        async with opening:
            return await opened(url, watch, Seat(watch))

    return await asyncio.gather(*(one() for _ in range(clients)))


async def keep(url: str, watch: Watch, here: asyncio.Event, stay: float) -> None:
    """Watch until cancelled; resume after each lost connection. With `stay` (seconds, on average) leave after a while
    and come back as a new client.
    """
    seat = Seat(watch)
    while True:
        with suppress(OSError):  # the broadcaster is down; also a TimeoutError
            client = await opened(url, watch, seat)
            here.set()
            await asyncio.wait((client.gone,), timeout=random.uniform(0, 2 * stay) if stay else None)  # noqa: S311
            client.close()
            seat = Seat(watch) if stay else seat
        await asyncio.sleep(random.uniform(*BACK_AFTER))  # noqa: S311  (no secret)


async def keep_all(url: str, clients: int, watch: Watch, stay: float) -> list[asyncio.Task[None]]:
    """Keep every client connected; return the tasks once each client has been live."""
    here = [asyncio.Event() for _ in range(clients)]
    tasks = [asyncio.create_task(keep(url, watch, event, stay)) for event in here]
    for event in here:
        await event.wait()
    return tasks


async def run(url: str, clients: int, watch: Watch, options: argparse.Namespace) -> WatchResult:
    """Watch until every client has as many samples as standard input says, or none came for `patience` seconds."""
    if options.resume or options.stay:
        kept = await keep_all(url, clients, watch, options.stay)  # noqa: F841  (a task without a reference may be collected)
    else:
        await connect_all(url, clients, watch)
    print("live", flush=True)  # noqa: T201  (a command prints)
    used = time.process_time()
    expected = clients * int(await asyncio.to_thread(sys.stdin.readline) or 0)
    started = time.monotonic()
    while watch.seen < expected and time.monotonic() - max(watch.newest, started) < options.patience:  # noqa: ASYNC110
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
    arguments.add_argument("--resume", action="store_true", help="reconnect and resume when a connection is lost")
    arguments.add_argument("--stay", type=float, default=0.0, help="mean seconds until a client leaves (never)")
    options = arguments.parse_args()
    watch = Watch(options.first, options.count)
    try:
        result = uvloop.run(run(options.url, options.clients, watch, options))
    except OSError as error:
        print(f"the watcher failed: {error}", file=sys.stderr)  # noqa: T201
        return 1
    if options.log:
        options.log.write_bytes(watch.log.tobytes())
    print(msgspec.json.encode(result).decode(), flush=True)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
