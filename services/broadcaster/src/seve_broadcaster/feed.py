"""Reads the journal into the hub: completely and in order, or with a declared gap. Serves no client.

Uses an ephemeral pull consumer without acknowledgements, kept in memory by NATS, and keeps requests open. Starting,
following and healing use the same code: after a disconnect, a refused request, a missing heartbeat or a jump in the
sequence, a new consumer begins at the message behind the head. Messages that a new consumer skips are gone: a gap.

Messages in flight from NATS: bound `BATCH` messages and `BATCH_BYTES` per request, two requests; overflow rule: block
(the broadcaster stops reading its socket, and the server keeps the rest).
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

import structlog
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from seve_runtime.errors import SeveError, describe
from seve_runtime.health import Health
from seve_runtime.lifecycle import Stop, first_of, pause
from seve_runtime.nats.direct import DirectClient, Handler, NatsMessage
from seve_runtime.nats.pull import PullRequest, encode_request, end_of, parse_ack_subject, request_subject
from seve_runtime.nats.topology import JOURNAL
from seve_schema.position import Position
from seve_schema.times import parse_time

from seve_broadcaster.fanout.hub import Hub
from seve_broadcaster.stream.extent import journal_extent
from seve_broadcaster.stream.message import Message

if TYPE_CHECKING:
    from nats.aio.subscription import Subscription

log = structlog.get_logger()

CONDITION: Final = "stream"
"""The readiness condition that the feed sets."""

BATCH: Final = 500
BATCH_BYTES: Final = 16 << 20
EXPIRES: Final = 60.0
HEARTBEAT: Final = 2.0
"""Seconds after which the server says that an idle request is still open."""

LOOK_SECONDS: Final = 1.0
"""Seconds between two checks for a reconnect."""

QUIET_LOOKS: Final = 5
"""Checks without a message or a heartbeat after which a consumer counts as lost: a little longer than two
heartbeats.
"""

RETRY_SECONDS: Final = 0.5
WARM: Final = 2000
"""Number of messages before the restored position that are read into memory, for clients that resume after a
restart.
"""


class JournalSetBackError(SeveError):
    """The journal ends before the head: a power loss took its end, or an old copy was restored. Other messages will get
    the same sequences, so this process and its clients have to start again.
    """

    def __init__(self, head: Position, end: Position) -> None:
        super().__init__(f"the journal was set back from {head} to {end}: start again")


Age = Callable[[float], None]
"""Takes the seconds from the receipt of a message by ingest to the end of the turn that wrote it to clients."""


class Feed:
    """Follows the journal. `malformed` counts unreadable messages, `consumers` the created consumers."""

    def __init__(self, client: DirectClient, hub: Hub, health: Health, age: Age) -> None:
        self.malformed = 0
        self.consumers = 0
        self._client = client
        self._js = client.jetstream()
        self._hub = hub
        self._health = health
        self._age = age
        self._subscription: Subscription | None = None
        self._inbox = ""
        self._requests = ""
        self._credit = 0
        self._fresh = False
        self._target = 0
        self._connection = 0
        self._received = self._received_before = self._quiet = 0
        self._measured = ""
        self._loop = asyncio.get_running_loop()
        self._lost = asyncio.Event()
        self._at_head = asyncio.Event()

    async def start(self, restore: Callable[[], Awaitable[Position]], stop: Stop) -> None:
        """Read the journal from the restored position, or from its oldest message, up to its head.

        Retries while NATS does not answer, until `stop` is set.
        """
        self._lose("starting")
        while not stop.is_set():
            try:
                await self._begin(await restore())
                break
            except (NatsError, TimeoutError) as error:
                log.warning("the newest values cannot be restored yet", error=describe(error))
                await pause(stop, RETRY_SECONDS)
        await self._follow(stop, self._at_head)

    async def watch(self, stop: Stop) -> None:
        """Follow the journal until `stop`."""
        await self._follow(stop)
        if self._subscription is not None and self._client.is_connected:
            await self._subscription.unsubscribe()

    async def _begin(self, restored: Position) -> None:
        """Set the hub's head to where reading begins. Raises nats.errors.Error and TimeoutError."""
        extent = await journal_extent(self._js)
        known = restored.journal == extent.journal and restored <= extent.end
        begin = max(extent.first - 1, restored.sequence - WARM if known else 0)
        self._hub.latest.set_back(extent.end, Position(extent.journal, begin))
        self._hub.begin(Position(extent.journal, begin))

    async def _follow(self, *ends: asyncio.Event) -> None:
        while not any(end.is_set() for end in ends):
            if self._lost.is_set():
                await self._try_to_attach(ends[0])
            await first_of(self._lost, *ends, patience=LOOK_SECONDS)
            self._look()

    def _look(self) -> None:
        """Replace the consumer after a reconnect, or after several checks without a message or a heartbeat."""
        self._quiet = 0 if self._received != self._received_before else self._quiet + 1
        self._received_before = self._received
        if self._client.stats["reconnects"] != self._connection or self._quiet > QUIET_LOOKS:
            self._lose("no message or heartbeat from the journal's consumer")

    def _lose(self, reason: str) -> None:
        if not self._lost.is_set():
            self._lost.set()
            self._at_head.clear()
            self._health.fails(CONDITION, reason)

    # the consumer

    async def _try_to_attach(self, stop: Stop) -> None:
        try:
            await self._attach()
        except (NatsError, TimeoutError, OSError) as error:
            log.warning("the journal cannot be followed yet", error=describe(error))
            await pause(stop, RETRY_SECONDS)

    async def _attach(self) -> None:
        """Create a consumer that begins behind the head. Raises nats.errors.Error and TimeoutError."""
        hub, client = self._hub, self._client
        if self._subscription is not None:
            with contextlib.suppress(NatsError):
                await self._subscription.unsubscribe()
        self._connection = client.stats["reconnects"]
        self._inbox = client.new_inbox()
        self._subscription = await client.subscribe_direct(self._inbox, self._take_of(self._inbox))
        consumer = await self._js.add_consumer(JOURNAL, _consumer(hub.head.sequence + 1))
        extent = await journal_extent(self._js)  # read last: a consumer does not outlive the journal it was created on
        if extent.journal != hub.head.journal:
            hub.gap(Position(extent.journal, 0))
            return
        if extent.first > hub.head.sequence + 1:
            hub.gap(Position(extent.journal, extent.first - 1))
        if extent.last < hub.head.sequence:
            raise JournalSetBackError(hub.head, extent.end)
        self._requests = request_subject(JOURNAL, str(consumer.name))
        self.consumers += 1
        self._fresh, self._credit, self._target = True, 0, extent.last
        self._received += 1
        self._lost.clear()
        self._ask()
        self._arrive()

    def _ask(self) -> None:
        self._credit += BATCH
        request = PullRequest(BATCH, BATCH_BYTES, int(EXPIRES * 1e9), int(HEARTBEAT * 1e9))
        self._client.publish_direct(self._requests, encode_request(request), self._inbox)

    def _take_of(self, inbox: str) -> Handler:
        def take(arrived: NatsMessage) -> None:
            if inbox != self._inbox or self._lost.is_set():
                return
            self._received += 1
            end = end_of(arrived)
            if end is None:
                self._credit -= 1
                self._message(arrived)
            elif end == "refused":
                self._lose(" ".join(arrived.status))
            elif end != "heartbeat":
                self._credit -= int(arrived.header("Nats-Pending-Messages") or self._credit)
            if self._credit <= BATCH // 2 and not self._lost.is_set():
                self._ask()

        return take

    def _message(self, arrived: NatsMessage) -> None:
        hub, sequence = self._hub, parse_ack_subject(arrived.reply).sequence
        journal, head = hub.head
        if sequence != head + 1:
            if sequence <= head:
                return
            if not self._fresh:
                self._lose("a jump in the sequence")
                return
            hub.gap(Position(journal, sequence - 1))
        self._fresh = False
        message = Message.read(Position(journal, sequence), arrived.subject, arrived.data)
        hub.publish(message)
        if not message.heads:
            self.malformed += 1
            log.warning(
                "unreadable message", subject=arrived.subject, sequence=sequence, error=message.fault or "no envelopes"
            )
        elif not self._measured and self._at_head.is_set():
            self._measured = message.heads[0].received_at
            self._loop.call_soon(self._measure)
        if not self._at_head.is_set():
            self._arrive()

    def _arrive(self) -> None:
        if self._hub.head.sequence >= self._target:
            self._at_head.set()
            self._health.holds(CONDITION)

    def _measure(self) -> None:
        """Report the age of the first message of this turn. Runs once per turn, after the connections were flushed."""
        received_at, self._measured = self._measured, ""
        with contextlib.suppress(ValueError):
            self._age(time.time() - parse_time(received_at).timestamp())


def _consumer(start: int) -> ConsumerConfig:
    return ConsumerConfig(
        deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
        opt_start_seq=start,
        ack_policy=AckPolicy.NONE,
        mem_storage=True,
        num_replicas=1,
        inactive_threshold=5 * HEARTBEAT,
    )
