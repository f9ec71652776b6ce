"""Publishes to JetStream and collects the acks through one subscription. What is sent when, `lanes` decides; an ack may
be an error, or not come at all. While NATS is away nothing is sent: nats-py would queue it in memory of its own.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final

import msgspec
import structlog
from nats.errors import ConnectionDrainingError, MaxPayloadError, OutboundBufferLimitError
from nats.errors import Error as NatsError
from seve_runtime.health import Health
from seve_runtime.lifecycle import pause
from seve_runtime.nats.direct import DirectClient, Frame

from seve_ingest import metrics
from seve_ingest.pipeline import Intake
from seve_ingest.publish.recovery import MESSAGE_ID, held_ids
from seve_ingest.publish.subject_queues import Publish

log = structlog.get_logger()

CONDITION: Final = "journal"
"""The readiness condition: whether the journal takes what it is given."""

_HEADERS: Final = b"NATS/1.0\r\n" + MESSAGE_ID.encode() + b": %b\r\n\r\n"
TICK: Final = 0.25
TELL_EVERY: Final = 10.0
"""Seconds between two lines about refusals: a journal at its brim refuses and takes in turn."""


class _Error(msgspec.Struct):
    description: str = ""


class _Answer(msgspec.Struct):
    """JetStream's answer to a publish."""

    error: _Error | None = None


_answer: Final = msgspec.json.Decoder(_Answer).decode


class Journal:
    """The way to JetStream. Seconds: `timeout` is how long to wait for an ack, `window` how long JetStream knows an id.
    `tail` is how much of HISTORY can hold what is in flight; `progress` is called whenever deliveries may have become
    acknowledgeable.
    """

    def __init__(
        self,
        client: DirectClient,
        intake: Intake,
        health: Health,
        *,
        timeout: float,
        window: float,
        tail: int,
        progress: Callable[[], None],
    ) -> None:
        self._client = client
        self._intake = intake
        self._lanes = intake.lanes
        self._health = health
        self._timeout = timeout
        self._window = 0.9 * window
        self._tail = tail
        self._progress = progress
        self._inbox = client.new_inbox()
        self._open = False
        self._told = -TELL_EVERY
        self._reconnects = client.stats["reconnects"]

    async def run(self, finished: asyncio.Event) -> None:
        """Hear the answers, and send again what needs it, until `finished` is set."""
        await self._client.subscribe_direct(f"{self._inbox}.*", self._answered)
        self._open = True
        self._health.holds(CONDITION)
        self.send()
        while not await pause(finished, TICK):
            await self._again()

    def send(self) -> None:
        """Send what is new; what has to wait is sent when its time comes."""
        if not self._open:
            return
        for publish in self._lanes.ready():
            if self._lanes.may_send():
                self._send(publish)

    def _send(self, publish: Publish) -> None:
        if not self._client.is_connected:
            return
        publish.sent_at = time.monotonic()
        publish.known_since = publish.known_since or publish.sent_at
        publish.tried = True
        reply = f"{self._inbox}.{publish.number}"
        try:
            self._client.publish_direct(publish.subject, publish.data, reply, _HEADERS % publish.id.encode())
        except (OutboundBufferLimitError, ConnectionDrainingError):
            publish.sent_at = None
        except MaxPayloadError:
            self._refused(publish.number, f"the NATS server takes {self._client.max_payload} bytes at most")

    async def _again(self) -> None:
        """Send what was not sent, refused, or not acknowledged in time; under its first id, so that it counts once."""
        if self._client.stats["reconnects"] != self._reconnects:
            self._reconnects = self._client.stats["reconnects"]
            self._lanes.unsent()
        due = self._lanes.due(time.monotonic(), self._timeout)
        if not self._client.is_connected or not await self._still_known(due):
            return
        for publish in due:
            if publish.tried:
                metrics.resends.labels("refused" if self._lanes.refusal else "timeout").inc()
            self._send(publish)

    async def _still_known(self, due: list[Publish]) -> bool:
        """Whether JetStream would recognise the ids of `due`, made true: of those that it may have forgotten, HISTORY
        tells which are held, and the others begin anew. False while HISTORY cannot be read.
        """
        forgotten = time.monotonic() - self._window
        doubtful = [each for each in due if each.ordered and each.known_since and each.known_since < forgotten]
        if not doubtful:
            return True
        try:
            held = await held_ids(self._client, self._tail, {publish.id for publish in doubtful})
        except (NatsError, OSError) as error:
            log.warning("HISTORY could not be read; trying again", reason=str(error) or type(error).__name__)
            return False
        for publish in doubtful:
            publish.known_since = None
            if publish.id in held:
                due.remove(publish)
                self._held(publish.number)
        log.info("publishes without an ack looked up in HISTORY", count=len(doubtful))
        return True

    async def _answered(self, answer: Frame) -> None:
        number = int(answer.subject[len(self._inbox) + 1 :])
        if (reason := _reason(answer.data)) is not None:
            self._refused(number, reason)
            return
        if self._lanes.refusal is not None:
            self._health.holds(CONDITION)
        self._held(number)

    def _held(self, number: int) -> None:
        following = self._intake.held(number)
        if following is not None and self._lanes.may_send():
            self._send(following)
        self._progress()

    def _refused(self, number: int, reason: str) -> None:
        if self._lanes.refusal is None:
            self._health.fails(CONDITION, reason)
            if time.monotonic() - self._told > TELL_EVERY:
                self._told = time.monotonic()
                log.error("the journal refuses messages; they wait", reason=reason)
        self._lanes.refused(number, reason, time.monotonic())


def _reason(data: bytes) -> str | None:
    """Why JetStream refused, or None where it did not; an empty answer says that no stream has the subject."""
    if not data:
        return "no stream takes the subject"
    error = _answer(data).error
    return None if error is None else error.description or "refused without a reason"
