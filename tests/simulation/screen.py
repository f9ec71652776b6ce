"""Screens: clients of the broadcaster that come, read slowly, break off, and resume with the last token they read.

What the gateway does for a connection is the gateway's own code; only the socket is a model.
"""

import asyncio
from collections import deque
from collections.abc import Iterator
from random import Random

import msgspec
from seve_broadcaster.auth.grants import Grant
from seve_broadcaster.fanout import subscriptions
from seve_broadcaster.fanout.hub import Hub
from seve_broadcaster.fanout.subscriber import Pace, Subscriber
from seve_broadcaster.protocol.requests import Subscribe
from seve_broadcaster.websocket.catchup_tasks import CatchupTasks
from seve_broadcaster.websocket.journal_replay import JournalReplay
from seve_broadcaster.websocket.server import Gateway
from seve_schema.position import Token, end_of

from simulation.clock import VirtualLoop
from simulation.processes import Broadcaster

BUFFER = 1500
"""Bytes of a connection's buffer before it counts as full."""

_decode = msgspec.json.decode


class Served:
    """The part of the gateway that brings a client on."""

    full = Gateway.full
    drained = Gateway.drained

    def __init__(self, hub: Hub, replay: JournalReplay) -> None:
        self.hub = hub
        self._catchup = CatchupTasks(hub, replay)
        self.advance = self._catchup.advance


class Numbered(Subscriber):
    """A client that stands in the hub's sets where its number puts it, not where it lies in memory: a seed has to tell
    the same story again.
    """

    number: int

    def __hash__(self) -> int:
        return self.number


class Peer:
    """A connection: the sink of a client, and what the replay asks of it."""

    def __init__(self, loop: VirtualLoop, screen: "Screen", served: Served) -> None:
        self._loop = loop
        self._screen = screen
        self._served = served
        self._room = asyncio.Event()
        self._scheduled = False
        self.buffer: deque[bytes] = deque()
        self.buffered = 0
        self.open = True
        self.paused = False
        self.pump: asyncio.Task | None = None
        self.client = Numbered(self, Grant(), end_of(served.hub.head))
        self.client.number = screen.number

    def write(self, data: bytes) -> None:
        self.buffer.append(data)
        self.buffered += len(data)
        if self.buffered > BUFFER and not self.paused:
            self.paused = True
            self._room.clear()
            self._served.full(self)
        self._schedule()

    def end(self, code: int, reason: str) -> None:
        raise AssertionError((code, reason))

    async def room(self) -> None:
        while self.paused and self.open:
            await self._room.wait()

    def _schedule(self) -> None:
        if not self._scheduled and self.open:
            self._scheduled = True
            self._loop.call_later(self._screen.pause(), self._read)

    def _read(self) -> None:
        self._scheduled = False
        if not self.open or not self.buffer:
            return
        data = self.buffer.popleft() if self._screen.slow else b"".join(self.buffer)
        if not self._screen.slow:
            self.buffer.clear()
        self.buffered -= len(data)
        self._screen.read(data)
        if self.buffer:
            self._schedule()
        if self.paused and self.buffered < BUFFER // 4:
            self.paused = False
            self._room.set()
            self._served.drained(self)

    def close(self) -> None:
        """Lose the connection, with what is in its buffer."""
        self.open = False
        self._room.set()
        self._served.hub.leave(self.client)
        if self.pump is not None:
            self.pump.cancel()


class Screen:
    """A client over all its connections: `news` are tokens and numbers in the order they came, `missed` the ranges that
    it was told of, `held` the newest number of each series, behind the time of a sample.
    """

    def __init__(
        self, loop: VirtualLoop, rng: Random, broadcaster: Broadcaster, modules: frozenset[str], number: int
    ) -> None:
        self.number = number
        self._loop = loop
        self._rng = rng
        self._broadcaster = broadcaster
        self._ended = False
        self.modules = modules
        self.slow = False
        self.peer: Peer | None = None
        self.since: Token | None = None
        self.began: Token | None = None
        self.news: list[tuple[Token, int]] = []
        self.missed: list[tuple[Token, Token]] = []
        self.held: dict[tuple[str, str, str | None], tuple[str, int]] = {}
        self._try()

    def pause(self) -> float:
        """Seconds until it reads again."""
        return self._rng.random() * (0.5 if self.slow else 0.02)

    def wants(self, module: str) -> bool:
        return "*" in self.modules or module in self.modules

    @property
    def at_head(self) -> bool:
        peer = self.peer
        return peer is not None and peer.client.pace is Pace.LIVE and not peer.buffer and self.began is not None

    def _try(self) -> None:
        hub, replay = self._broadcaster.hub, self._broadcaster.replay
        if self._ended or self.peer is not None:
            return
        if hub is None or replay is None:
            self._loop.call_later(0.2 + self._rng.random(), self._try)
            return
        served = Served(hub, replay)
        self.peer = Peer(self._loop, self, served)
        hub.join(self.peer.client)
        subscriptions.subscribe(hub, self.peer.client, Subscribe(modules=self.modules, since=self.since))
        served.advance(self.peer)

    def cut(self) -> None:
        """Lose the connection, and come back."""
        if self.peer is not None:
            self.peer.close()
            self.peer = None
            self._loop.call_later(0.1 + self._rng.random(), self._try)

    def end(self) -> None:
        self._ended = True
        if self.peer is not None:
            self.peer.close()

    def read(self, data: bytes) -> None:
        for frame in _frames(data):
            event = frame["event"]
            if event in ("gap", "skipped"):
                self.missed.append((Token.parse(frame["from"]), Token.parse(frame["to"])))
            elif event == "subscribed" and self.began is None:
                self.began = Token.parse(frame["seq"])
            elif event == "mqtt-message":
                envelope = frame["data"]
                number, series, taken = number_of(envelope), series_of(envelope), taken_of(envelope)
                if series not in self.held or taken >= self.held[series][0]:
                    self.held[series] = taken, number
            if "seq" in frame:
                self.since = Token.parse(frame["seq"])
                if event == "mqtt-message" and "snapshot" not in frame:
                    self.news.append((self.since, number))


def _frames(data: bytes) -> Iterator[dict]:
    """What frames of a server hold: unmasked, whole."""
    at = 0
    while at < len(data):
        size, at = data[at + 1], at + 2
        if size > 125:
            width = 2 if size == 126 else 8
            size, at = int.from_bytes(data[at : at + width], "big"), at + width
        yield _decode(data[at : at + size])
        at += size


def number_of(envelope: dict) -> int:
    """The number by which a device's sample, report or log line is known."""
    if envelope["kind"] == "measurement":
        return int(envelope["value"])
    return int(envelope["metadata"]["rssi" if envelope["kind"] == "system.status" else "msg"])


def series_of(envelope: dict) -> tuple[str, str, str | None]:
    return envelope["moduleId"], envelope["kind"], envelope["sensorType"]


def taken_of(envelope: dict) -> str:
    """When a sample was taken, as snapshots order them; empty for what the journal alone orders."""
    return min(envelope["time"], envelope["receivedAt"]) if envelope["kind"] == "measurement" else ""
