"""Pulls from the journal through the writers' shared durable consumer: one inbox, one request at a time, sized by the
room that is left. Bounds: what is held (waiting or being written) stays within `most` messages and `most_bytes` bytes;
at the bound it stops asking, and the journal grows instead. Acknowledges only what it is told to.

Requests of our own with a callback: a message costs less than through the client library's `fetch`, and nothing that
was collected can be stranded by a cancelled fetch.
"""

import asyncio
import math
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from typing import Any, Final

import msgspec
import structlog
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from seve_runtime.lifecycle import Stop, pause
from seve_runtime.nats.direct import DirectClient, Frame
from seve_runtime.nats.topology import JOURNAL, WRITER

from seve_writer.journal.message import Delivery, read_delivery

log = structlog.get_logger()

REQUEST_SUBJECT: Final = f"$JS.API.CONSUMER.MSG.NEXT.{JOURNAL}.{WRITER}"
EXPIRES: Final = 1.0
"""Seconds a request stays open at the server: how long a stop waits at most for what is on its way."""
ASKED_AT_ONCE: Final = 500
"""Messages of one request at most: the server serves requests in turn, so writers share even a short backlog."""
UNNOTICED: Final = 0.02
"""Seconds without an open request in which nobody deletes a journal and makes it anew, by hand or by `setup`."""
_LATE: Final = 5.0
"""Seconds beyond its end after which a request that was never answered is given up, though the connection stands."""
_RECONNECTING: Final = 0.2
_EXPIRED: Final = ("404", "408")
_ACK: Final = b"+ACK"
_NAK: Final = b"-NAK"
_IN_PROGRESS: Final = b"+WPI"


class _Request(msgspec.Struct):
    batch: int
    expires: int
    max_bytes: int


_encode: Final = msgspec.json.Encoder().encode


class Intake:
    """The messages in this writer's hands. `arrived` is called with each; `release` makes room again."""

    def __init__(
        self, client: DirectClient, arrived: Callable[[Delivery], None], *, most: int, most_bytes: int
    ) -> None:
        self._client = client
        self._arrived = arrived
        self._most = most
        self._most_bytes = most_bytes
        self._held: dict[int, Delivery] = {}
        self._bytes = 0
        self._left = 0
        self._answered = asyncio.Event()
        self._room = asyncio.Event()
        self._too_big = False
        self._refused = ""
        self._disowned = False
        self._inbox = client.new_inbox()
        self._requests = 0
        self._doubts = 0
        self._quiet_since: float | None = -math.inf

    @property
    def held(self) -> int:
        """Messages that are neither acknowledged nor given back."""
        return len(self._held)

    @property
    def doubts(self) -> int | None:
        """How often another journal may have taken the place of the one before; None while it may be doing so.

        A request that is open when a journal goes ends otherwise than one that is answered: only where none was open
        for some time, or one was refused, it can have gone unnoticed.
        """
        return None if self._quiet() else self._doubts

    def _quiet(self) -> bool:
        since = self._quiet_since
        return since is not None and asyncio.get_running_loop().time() - since > UNNOTICED

    async def run(self, stop: Stop) -> None:
        """Ask for messages until `stop`, and then until the last request has been answered."""
        subscription = await self._client.subscribe_direct(f"{self._inbox}.*", self._receive)
        try:
            while not stop.is_set():
                await self._ask(stop)
        finally:
            await self._end(subscription)

    async def _ask(self, stop: Stop) -> None:
        """One request, if there is room and a connection, until it has been answered."""
        if self._full():
            self._room.clear()
            await _first(stop.wait(), self._room.wait())
            self._too_big = False
            return
        if not self._client.is_connected:  # requests kept for later would all be served at once
            self._quiet_since = -math.inf
            await pause(stop, _RECONNECTING)
            return
        try:
            self._request()
            await self._answer(self._client.stats["reconnects"])
        except (TimeoutError, NatsError) as error:
            self._refused = str(error) or type(error).__name__
        self._quiet_since = -math.inf if self._refused else asyncio.get_running_loop().time()
        if self._refused:
            log.warning("the journal gave no messages", answer=self._refused)
            self._refused = ""
            await pause(stop, EXPIRES)

    async def _answer(self, connection: int) -> None:
        """Until the request has been answered, or is over and its connection was lost: then nothing will answer it.
        Raises TimeoutError.
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

    def _full(self) -> bool:
        """Whether there is no room, or none for the next message beside those in hand."""
        return len(self._held) >= self._most or self._bytes >= self._most_bytes or (self._too_big and bool(self._held))

    def _request(self) -> None:
        """Ask for what there is room for; for one message of any size where it was too big for an empty hand."""
        room, room_bytes = min(self._most - len(self._held), ASKED_AT_ONCE), self._most_bytes - self._bytes
        if self._too_big:
            room, room_bytes = 1, max(room_bytes, 2 * self._client.max_payload)
        self._requests += 1
        self._doubts += self._quiet()
        self._quiet_since = None
        self._left, self._too_big = room, False
        self._answered.clear()
        request = _encode(_Request(room, int(EXPIRES * 1e9), room_bytes))
        self._client.publish_direct(REQUEST_SUBJECT, request, f"{self._inbox}.{self._requests}")

    async def _receive(self, message: Frame) -> None:
        if not message.reply:
            self._status(message)
            return
        delivery = read_delivery(message.subject, message.reply, message.data)
        self._left -= 1
        if self._left <= 0:
            self._answered.set()
        if delivery.sequence in self._held:  # it went round because an ack or an extension was lost; one copy is enough
            return
        self._held[delivery.sequence] = delivery
        self._bytes += len(delivery.data)
        self._arrived(delivery)

    def _status(self, message: Frame) -> None:
        """A request ended: expired, bytes exhausted, or refused; of an earlier request it says nothing."""
        if not message.subject.endswith(f".{self._requests}"):
            return
        code, description = message.status
        self._too_big = "MaxBytes" in description
        ended = code in _EXPIRED or self._too_big or "Completed" in description
        self._refused = "" if ended else f"{code} {description}"
        self._answered.set()

    def acknowledge(self, deliveries: Iterable[Delivery]) -> None:
        """Tell the journal that these are stored, and make room. What cannot be told is delivered again, to be found in
        the tables.
        """
        try:
            self._tell(deliveries, _ACK)
        except NatsError as error:
            log.warning("not acknowledged, though stored", error=str(error) or type(error).__name__)
        self.release(deliveries)

    def release(self, deliveries: Iterable[Delivery]) -> None:
        """These are no longer in hand."""
        for delivery in deliveries:
            if self._held.pop(delivery.sequence, None) is not None:
                self._bytes -= len(delivery.data)
        self._room.set()

    def disown(self) -> None:
        """From now on tell the journal nothing about what is or was in hand."""
        self._disowned = True

    def give_back(self) -> int:
        """Let another writer have, at once, all that is in hand; tells how many that was."""
        deliveries = list(self._held.values())
        try:
            self._tell(deliveries, _NAK)
        except NatsError as error:
            log.warning("not given back; it comes again after ACK_WAIT", error=str(error) or type(error).__name__)
        self.release(deliveries)
        return len(deliveries)

    def extend(self) -> None:
        """Ask the journal for another `ACK_WAIT` for all that is in hand. Raises nats errors."""
        self._tell(list(self._held.values()), _IN_PROGRESS)

    def _tell(self, deliveries: Iterable[Delivery], word: bytes) -> None:
        if self._disowned:
            return
        for delivery in deliveries:
            self._client.publish_direct(delivery.ack, word)

    async def keep(self, stop: Stop, interval: float) -> None:
        """Extend every `interval` seconds, so that a message is delivered again only if this writer is gone."""
        while not await pause(stop, interval):
            try:
                self.extend()
            except NatsError as error:
                log.warning("ack wait not extended", error=str(error) or type(error).__name__)

    async def _end(self, subscription: Subscription) -> None:
        if self._client.is_connected:
            await subscription.unsubscribe()


async def _first(*waits: Coroutine[Any, Any, object]) -> None:
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
