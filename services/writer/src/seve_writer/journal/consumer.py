"""Pulls from the journal through the writers' shared durable consumer: one inbox, one request at a time, sized by the
room that is left. Acknowledges only the messages that its caller names.

Held messages (waiting or being written): bound `most` messages and `most_bytes` bytes; overflow rule: block, so that
the journal grows instead; counter: `seve_writer_held_messages`.

It sends pull requests itself and takes messages in a callback, instead of calling the client library's `fetch`: that
costs less per message, and there is no fetch whose cancellation would strand the messages it had collected.
"""

import asyncio
import math
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

import structlog
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from seve_runtime.errors import describe
from seve_runtime.lifecycle import Stop, first_of, pause
from seve_runtime.nats.direct import DirectClient, NatsMessage
from seve_runtime.nats.pull import End, PullRequest, encode_request, end_of, request_subject
from seve_runtime.nats.topology import JOURNAL, WRITER

from seve_writer import metrics
from seve_writer.decode import JournalMessage, read_message

log = structlog.get_logger()

REQUEST_SUBJECT: Final = request_subject(JOURNAL, WRITER)
EXPIRES: Final = 1.0
"""Seconds a request stays open at the server, and so the longest time that a stop waits for messages on their way."""
ASKED_AT_ONCE: Final = 500
"""Messages of one request at most: the server serves requests in turn, so writers share even a short backlog."""
UNNOTICED: Final = 0.02
"""Seconds without an open request within which a journal cannot be deleted and recreated, by hand or by `setup`."""
READ_PACE: Final = 0.01
"""Seconds between two reads at a low rate: at 1,000 messages per second, one wake-up for ten messages, not for each."""
_LATE: Final = 5.0
"""Seconds after its expiry at which an unanswered request is given up, although the connection is up."""
_RECONNECTING: Final = 0.2
_ACK: Final = b"+ACK"
_NAK: Final = b"-NAK"
_IN_PROGRESS: Final = b"+WPI"


class Consumer:
    """Fetches messages and holds them until they are released. `arrived` is called with each message. `recreations` is
    how often the journal may have been recreated before the last request.
    """

    def __init__(
        self, client: DirectClient, arrived: Callable[[JournalMessage], None], *, most: int, most_bytes: int
    ) -> None:
        self._client = client
        self._arrived = arrived
        self._most = most
        self._most_bytes = most_bytes
        self._held: dict[int, JournalMessage] = {}
        self._bytes = 0
        self._left = 0
        self._answered = asyncio.Event()
        self._room = asyncio.Event()
        self._too_big = False
        self._refused = ""
        self._acks_stopped = False
        self._inbox = client.new_inbox()
        self._received = 0
        self._requests = 0
        self.recreations = 0
        self._quiet_since: float | None = -math.inf

    @property
    def held(self) -> int:
        """The number of messages that are neither acknowledged nor returned."""
        return len(self._held)

    @property
    def recreations_possible(self) -> int | None:
        """The number of possible recreations of the journal so far; None while one may be happening.

        When a stream is deleted, the server ends its open requests with a status. So a recreation can go unnoticed only
        while no request was open for `UNNOTICED` seconds, or after a request was refused.
        """
        return None if self._quiet() else self.recreations

    def _quiet(self) -> bool:
        since = self._quiet_since
        return since is not None and asyncio.get_running_loop().time() - since > UNNOTICED

    async def run(self, stop: Stop) -> None:
        """Ask for messages until `stop`, and then until the last request has been answered."""
        self._client.read_pace = READ_PACE
        subscription = await self._client.subscribe_direct(f"{self._inbox}.*", self._receive)
        try:
            while not stop.is_set():
                await self._ask(stop)
        finally:
            await self._end(subscription)
            self._count()

    async def _ask(self, stop: Stop) -> None:
        """Send one request, if there is room and a connection, and wait for its answer."""
        if self._full():
            self._room.clear()
            await first_of(stop, self._room)
            self._too_big = False
            return
        if not self._client.is_connected:  # buffered requests would all be served at once after the reconnect
            self._quiet_since = -math.inf
            await pause(stop, _RECONNECTING)
            return
        try:
            self._request()
            await self._answer(self._client.stats["reconnects"])
        except (TimeoutError, NatsError) as error:
            self._refused = describe(error)
        self._count()
        self._quiet_since = -math.inf if self._refused else asyncio.get_running_loop().time() - READ_PACE
        if self._refused:
            log.warning("the journal refused a request for messages", answer=self._refused)
            self._refused = ""
            await pause(stop, EXPIRES)

    async def _answer(self, connection: int) -> None:
        """Wait until the request is answered. Return too if it has expired and its connection was lost, since then no
        answer will come. Raises TimeoutError if none came over a connection that is up.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(EXPIRES):
                await self._answered.wait()
        async with asyncio.timeout(_LATE):
            while not self._answered.is_set():
                if not self._client.is_connected or self._client.stats["reconnects"] != connection:
                    return
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._answered.wait(), _RECONNECTING)

    def _count(self) -> None:
        """Count the messages received since the last request. The counter has a lock: once per request is cheaper."""
        metrics.RECEIVED.inc(self._received)
        self._received = 0

    def _full(self) -> bool:
        """Whether there is no room; or, if the next message is larger than the room, whether any message is held."""
        return len(self._held) >= self._most or self._bytes >= self._most_bytes or (self._too_big and bool(self._held))

    def _request(self) -> None:
        """Request as much as there is room for; if the next message is too big for that, one message of any size."""
        room, room_bytes = min(self._most - len(self._held), ASKED_AT_ONCE), self._most_bytes - self._bytes
        if self._too_big:
            room, room_bytes = 1, max(room_bytes, 2 * self._client.max_payload)
        self._requests += 1
        self.recreations += self._quiet()
        self._quiet_since = None
        self._left, self._too_big = room, False
        self._answered.clear()
        request = encode_request(PullRequest(room, room_bytes, expires=int(EXPIRES * 1e9)))
        self._client.publish_direct(REQUEST_SUBJECT, request, f"{self._inbox}.{self._requests}")

    def _receive(self, arrived: NatsMessage) -> None:
        end = end_of(arrived)
        if end is not None:
            self._ended(arrived, end)
            return
        message = read_message(arrived.subject, arrived.reply, arrived.data, self.recreations)
        self._left -= 1
        if self._left <= 0:
            self._answered.set()
        if message.sequence in self._held:  # redelivered, because an ack or an extension was lost: one copy is enough
            return
        self._held[message.sequence] = message
        self._received += 1
        self._bytes += len(message.data)
        self._arrived(message)

    def _ended(self, status: NatsMessage, end: End) -> None:
        """Note the end of the current request: expired, bytes exhausted, or refused."""
        if status.subject.endswith(f".{self._requests}"):
            self._too_big = end == "too_big"
            self._refused = " ".join(status.status) if end == "refused" else ""
            self._answered.set()

    def acknowledge(self, messages: Iterable[JournalMessage]) -> None:
        """Acknowledge stored messages and release them. If an ack is lost, the message is delivered again and written
        as an upsert.
        """
        try:
            self._tell(messages, _ACK)
        except NatsError as error:
            log.warning("stored message not acknowledged", error=describe(error))
        self.release(messages)

    def release(self, messages: Iterable[JournalMessage]) -> None:
        """Hold these messages no longer, which makes room."""
        for message in messages:
            if self._held.pop(message.sequence, None) is not None:
                self._bytes -= len(message.data)
        self._room.set()

    def stop_acknowledging(self) -> None:
        """Acknowledge, extend and return nothing from now on: the journal was recreated."""
        self._acks_stopped = True

    def nak_all(self) -> int:
        """Return all held messages to the journal, so that another writer gets them at once; return their number."""
        messages = list(self._held.values())
        metrics.RETURNED.inc(len(messages))
        try:
            self._tell(messages, _NAK)
        except NatsError as error:
            log.warning("message not returned; it is delivered again after ACK_WAIT", error=describe(error))
        self.release(messages)
        return len(messages)

    def extend(self) -> None:
        """Ask for another `ACK_WAIT` for all held messages. Raises nats errors."""
        self._tell(list(self._held.values()), _IN_PROGRESS)

    def _tell(self, messages: Iterable[JournalMessage], word: bytes) -> None:
        if self._acks_stopped:
            return
        for message in messages:
            self._client.publish_direct(message.ack, word)

    async def keep(self, stop: Stop, interval: float) -> None:
        """Extend every `interval` seconds, so that a message is delivered again only if this writer is gone."""
        while not await pause(stop, interval):
            try:
                self.extend()
            except NatsError as error:
                log.warning("ack wait not extended", error=describe(error))

    async def _end(self, subscription: Subscription) -> None:
        if self._client.is_connected:
            await subscription.unsubscribe()
