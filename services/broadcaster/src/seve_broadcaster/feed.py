"""The stream from NATS into the hub, complete and in the order of the journal, or declared a gap. Serves no client.

One subscription on `live.>`, where the journal's sequences are contiguous: a jump is a gap, and so is a journal that
is longer than what came. While a gap is healed from HISTORY, what arrives is held; the oldest of it goes where there is
too much, since HISTORY has that as well.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from nats.errors import Error as NatsError
from seve_runtime.health import Health
from seve_runtime.lifecycle import Stop, pause
from seve_runtime.nats.direct import DirectClient, Frame
from seve_schema.position import Position
from seve_schema.times import parse_time

from seve_broadcaster.fanout.hub import Hub
from seve_broadcaster.stream.history import LIVE, History, journal_end, read, sequence_of
from seve_broadcaster.stream.message import Message

log = structlog.get_logger()

CONDITION: Final = "stream"
"""The readiness condition that the feed keeps."""

COMPARE_SECONDS: Final = 1.0
RETRY_SECONDS: Final = 0.5
LAG_SECONDS: Final = 5.0
"""How long HISTORY may lag behind the journal without any progress before what it lacks counts as lost."""

WARM: Final = 5000
"""Messages before the point of restoring that are read again."""

HELD_BYTES: Final = 16 << 20
TURN_BYTES: Final = 64 << 10
"""What is published in one turn of the loop: transports empty their buffers between turns."""


Latency = Callable[[float], None]
"""Takes the seconds from the receipt of a message by ingest to its last write to a client's transport."""


class Feed:
    """What comes from `live.>` and HISTORY. `malformed` and `healed` count messages."""

    def __init__(self, client: DirectClient, hub: Hub, health: Health, latency: Latency) -> None:
        self.malformed = 0
        self.healed = 0
        self._client = client
        self._js = client.jetstream()
        self._hub = hub
        self._health = health
        self._latency = latency
        self._history = History(client)
        self._held: deque[Frame] = deque()
        self._held_bytes = 0
        self._healing = asyncio.Event()
        self._turn = 0
        self._lack = hub.begin

    async def start(self, restore: Callable[[], Awaitable[Position]], stop: Stop) -> None:
        """Subscribe, and come to the head of the stream from where the present was restored, or from HISTORY's oldest.

        What NATS does not answer is asked again until `stop` is set.
        """
        self._fall_out("starting")
        await self._client.subscribe_direct(LIVE, self._take)
        while not stop.is_set():
            try:
                await self._begin(await restore())
                break
            except (NatsError, TimeoutError) as error:
                log.warning("the present cannot be restored yet", error=str(error) or type(error).__name__)
                await pause(stop, RETRY_SECONDS)
        while self._healing.is_set() and not stop.is_set():
            await self._try_to_heal(stop)
        self._hub.present.interrupted(self._hub.head)
        self._lack = self._hub.gap

    async def _begin(self, restored: Position) -> None:
        """Set the hub where reading begins: a little before what was restored, to have in memory what clients of a
        broadcaster that just ended will ask for. Raises nats.errors.Error and TimeoutError.
        """
        end = await journal_end(self._js)
        known = restored.journal == end.journal and restored <= end
        extent = await self._history.extent(end.journal)
        oldest = max(0, extent.oldest - 1) if extent.newest else end.sequence
        taken = restored.sequence if known else 0
        if oldest > taken:
            self._hub.dark = Position(end.journal, oldest)
        begin = max(oldest, taken - WARM)
        self._hub.begin(Position(end.journal, min(begin, end.sequence)))

    async def watch(self, stop: Stop) -> None:
        """Heal whenever a gap shows, until `stop`."""
        while not stop.is_set():
            if self._healing.is_set():
                await self._try_to_heal(stop)
            elif await self._interrupted(stop):
                await self._compare(stop)

    # what arrives

    async def _take(self, message: Frame) -> None:
        sequence = sequence_of(message)
        if self._healing.is_set() or sequence != self._hub.head.sequence + 1:
            self._hold(message)
            self._fall_out("a jump in the stream")
            return
        incoming = read(message, Position(self._hub.head.journal, sequence))
        await self._publish(incoming)
        if incoming.heads:
            self._latency(time.time() - parse_time(incoming.heads[0].received_at).timestamp())

    def _hold(self, message: Frame) -> None:
        self._held.append(message)
        self._held_bytes += len(message.data)
        while self._held_bytes > HELD_BYTES:
            self._held_bytes -= len(self._held.popleft().data)

    async def _publish(self, message: Message) -> None:
        if not message.parts:
            self.malformed += 1
        self._hub.publish(message)
        self._turn += message.size
        if self._turn >= TURN_BYTES:
            self._turn = 0
            await asyncio.sleep(0)

    # healing

    def _fall_out(self, reason: str) -> None:
        if not self._healing.is_set():
            self._healing.set()
            self._health.fails(CONDITION, reason)

    async def _interrupted(self, stop: Stop) -> bool:
        """Wait until it is time to compare; False where a gap or the stop came first."""
        waits = [asyncio.ensure_future(event.wait()) for event in (self._healing, stop)]
        try:
            done, _ = await asyncio.wait(waits, timeout=COMPARE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        return not done

    async def _compare(self, stop: Stop) -> None:
        """Fall out where the journal is another, or longer than what came within a little while."""
        try:
            end = await journal_end(self._js)
        except (NatsError, TimeoutError):
            return  # no connection: the next comparison comes soon, and readiness says so
        if end <= self._hub.head:
            return
        if end.journal == self._hub.head.journal:
            await pause(stop, RETRY_SECONDS)
        if end > self._hub.head:
            self._fall_out("the journal is ahead")

    async def _try_to_heal(self, stop: Stop) -> None:
        try:
            await self._heal()
        except (NatsError, TimeoutError) as error:
            log.warning("stream not healed yet", error=str(error) or type(error).__name__)
            await pause(stop, RETRY_SECONDS)

    async def _heal(self) -> None:
        """Read HISTORY until what is held follows on the head. Raises nats.errors.Error and TimeoutError."""
        before = self._hub.head
        while self._healing.is_set():
            end = await journal_end(self._js)
            if end.journal != self._hub.head.journal:
                self._held.clear()
                self._held_bytes = 0
                self._hub.gap(Position(end.journal, 0))
            target = min((sequence_of(message) - 1 for message in self._held), default=end.sequence)
            if target > self._hub.head.sequence:
                await self._read_to(target)
            await self._join()
        log.info("stream healed", start=str(before), end=str(self._hub.head))

    async def _read_to(self, target: int) -> None:
        """Publish what HISTORY has up to a journal sequence. What it lacks is a gap; at the start, what was before."""
        hub, loop = self._hub, asyncio.get_running_loop()
        progress = loop.time()
        while hub.head.sequence < target:
            async with self._history.reading(hub.head.journal, hub.head.sequence, (LIVE,)) as reader:
                while hub.head.sequence < target and (chunk := await reader.chunk()):
                    for item in chunk:
                        if isinstance(item, Message):  # what HISTORY never got shows as a jump
                            await self._fill(item)
                    progress = loop.time()
            if hub.head.sequence < target:
                if loop.time() - progress > LAG_SECONDS:
                    self._lack(Position(hub.head.journal, target))
                await asyncio.sleep(0.05)

    async def _fill(self, message: Message) -> None:
        journal, sequence = self._hub.head
        if message.position.sequence <= sequence:
            return
        if message.position.sequence > sequence + 1:
            self._lack(Position(journal, message.position.sequence - 1))
        self.healed += 1
        await self._publish(message)

    async def _join(self) -> None:
        """Publish what is held, as far as it follows on the head; the stream is whole when nothing is left."""
        while self._held and (sequence := sequence_of(self._held[0])) <= self._hub.head.sequence + 1:
            message = self._held.popleft()
            self._held_bytes -= len(message.data)
            if sequence == self._hub.head.sequence + 1:
                await self._publish(read(message, Position(self._hub.head.journal, sequence)))
        if not self._held:
            self._healing.clear()
            self._health.holds(CONDITION)
