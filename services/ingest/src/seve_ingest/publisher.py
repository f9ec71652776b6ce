"""Publishes to JetStream and collects the acks through one subscription. `subject_queues` decides which message is sent
when. An ack may be an error, or may never arrive. Sends nothing while NATS is down, because nats-py would queue it in
its own memory.

Each message names the expected sequence of its subject's last message (`Nats-Expected-Last-Subject-Sequence`). So a
message that is sent twice is stored once, however late the first ack comes. If the server finds another sequence there,
the header `Seve-Publish` of that message tells whether it is a copy of this one. See decision 0108.
"""

import asyncio
from typing import Final

import msgspec
import structlog
from nats.errors import ConnectionDrainingError, MaxPayloadError, OutboundBufferLimitError
from nats.errors import Error as NatsError
from nats.js.errors import NotFoundError
from seve_runtime.errors import describe
from seve_runtime.health import Health
from seve_runtime.lifecycle import first_of
from seve_runtime.nats.direct import DirectClient, NatsMessage
from seve_runtime.nats.topology import JOURNAL

from seve_ingest import metrics
from seve_ingest.pipeline import Pipeline
from seve_ingest.publish.subject_queues import Publish

log = structlog.get_logger()

CONDITION: Final = "journal"
"""The readiness condition: the journal accepts messages."""

PUBLISH_ID: Final = "Seve-Publish"

_ORDERED: Final = b"NATS/1.0\r\nNats-Expected-Last-Subject-Sequence: %d\r\n" + PUBLISH_ID.encode() + b": %b\r\n\r\n"
_ALONE: Final = b"NATS/1.0\r\nNats-Msg-Id: %b\r\n\r\n"

WRONG_LAST_SEQUENCE: Final = 10071
IN_PROGRESS: Final = 10164
"""Error code: a cluster still processes an earlier message of the subject, such as the first copy of this one."""

TICK: Final = 1.0
"""Seconds between two checks for late acks; less after a fault."""

LOG_EVERY: Final = 10.0
"""Seconds between two log lines about refusals: a nearly full journal alternates between refusing and accepting."""


class _Error(msgspec.Struct):
    description: str = ""
    err_code: int = 0


class _PubAck(msgspec.Struct):
    """JetStream's answer to a publish."""

    seq: int = 0
    error: _Error | None = None


_pub_ack: Final = msgspec.json.Decoder(_PubAck).decode
_NO_STREAM: Final = _PubAck(error=_Error("no stream takes the subject"))


class Publisher:
    """Publishes the queued messages. `timeout` is how long to wait for an ack, in seconds."""

    def __init__(self, client: DirectClient, pipeline: Pipeline, health: Health, *, timeout: float) -> None:
        self._client = client
        self._pipeline = pipeline
        self._queues = pipeline.queues
        self._health = health
        self._timeout = timeout
        self._inbox = client.new_inbox()
        self._loop = asyncio.get_running_loop()
        self._open = False
        self._attention = asyncio.Event()
        self._misplaced: dict[int, Publish] = {}
        self._logged_at = -LOG_EVERY
        self._unwell = False
        self._reconnects = client.stats["reconnects"]
        self._last = 0

    async def run(self, finished: asyncio.Event) -> None:
        """Handle acks, and repeat messages that need it, until `finished` is set."""
        await self._client.subscribe_direct(f"{self._inbox}.*", self._answered)
        self._open = True
        self._health.holds(CONDITION)
        self.send()
        while not finished.is_set():
            urgent = not self._queues.may_send or not self._client.is_connected
            await first_of(finished, self._attention, patience=min(TICK / 4 if urgent else TICK, self._timeout))
            self._attention.clear()
            if self._client.stats["reconnects"] != self._reconnects:
                await self._compare_ends()
            await self._find_misplaced()
            self._send_again()

    def send(self) -> None:
        """Send new messages; messages that have to wait are sent when they are due."""
        if self._open:
            for publish in self._queues.ready():
                if self._queues.may_send:
                    self._send(publish)

    def _send(self, publish: Publish) -> None:
        if not self._client.is_connected:
            return
        if publish.queue is None:
            headers = _ALONE % publish.id.encode()
        else:
            headers = _ORDERED % (publish.expected, publish.id.encode())
        publish.sent_at = self._loop.time()
        if not publish.attempts:
            publish.first_sent_at = publish.sent_at
        publish.attempts += 1
        try:
            self._client.publish_direct(publish.subject, publish.data, f"{self._inbox}.{publish.number}", headers)
        except (OutboundBufferLimitError, ConnectionDrainingError):
            publish.sent_at = None
        except MaxPayloadError:
            self._refused(publish.number, f"the NATS server takes {self._client.max_payload} bytes at most")

    def _send_again(self) -> None:
        """Send messages that were not sent, were refused, or were not acknowledged in time."""
        if self._client.stats["reconnects"] != self._reconnects:
            self._reconnects = self._client.stats["reconnects"]
            self._queues.unsent()
        if not self._client.is_connected:
            return
        if dropped := self._pipeline.give_up(self._loop.time()):
            self._log("dead letters are not kept but counted: their stream takes none", dropped=dropped)
        for publish in self._queues.due(self._loop.time(), self._timeout):
            if publish.attempts:
                metrics.resends.labels("refused" if self._queues.refusal else "timeout").inc()
                if not self._queues.refusal and publish.sent_at is not None and publish.queue is not None:
                    self._fail(f"acknowledges nothing: no answer within PUBLISH_TIMEOUT = {self._timeout:g} s")
            self._send(publish)

    async def _compare_ends(self) -> None:
        """Log and count messages that the journal has acknowledged and then lost with its end. NATS gives their
        sequences to other messages, so the loss cannot be detected later.
        """
        try:
            last = (await self._client.jetstream().stream_info(JOURNAL)).state.last_seq
        except (NatsError, OSError) as error:
            log.warning("the journal's state cannot be read", reason=describe(error))
            return
        if last < self._last:
            metrics.journal_lost.inc(self._last - last)
            log.error("the journal lost messages that it had acknowledged", sequences=f"{last + 1} to {self._last}")
            self._last = last

    def _answered(self, answer: NatsMessage) -> None:
        number = int(answer.subject[len(self._inbox) + 1 :])
        ack = _pub_ack(answer.data) if answer.data else _NO_STREAM
        if ack.error is None:
            self._held(number, ack.seq)
        elif ack.error.err_code == WRONG_LAST_SEQUENCE:
            if publish := self._queues.get(number):
                self._misplaced[number] = publish
                self._attention.set()
        elif ack.error.err_code != IN_PROGRESS:
            self._refused(number, ack.error.description or "refused without a reason")

    async def _find_misplaced(self) -> None:
        """Get the last message of each subject where another one was expected. If it is the published one, its ack was
        lost; otherwise the message is sent again behind it.
        """
        for number, publish in list(self._misplaced.items()):
            try:
                last, sequence, data = await self._last_message(publish.subject)
            except (NatsError, OSError) as error:
                log.warning("the journal does not answer", reason=describe(error))
                return
            del self._misplaced[number]
            if last == publish.id or (self._queues.get(number) and self._late(publish, data, sequence)):
                self._held(number, sequence)
            elif self._queues.get(number):
                if self._queues.expect(publish, sequence):
                    self._log("another ingest publishes under this name; give each its own MQTT_CLIENT_ID")
                self._send(publish)

    def _late(self, publish: Publish, data: bytes, sequence: int) -> bool:
        """Return whether the journal's last message contains all envelopes of `publish`: see
        `Pipeline.published_late`.
        """
        try:
            return self._pipeline.published_late(publish, data, sequence)
        except msgspec.DecodeError as error:
            log.warning("a message in the journal is no envelope", error=describe(error))
            return False

    async def _last_message(self, subject: str) -> tuple[str | None, int, bytes]:
        """Return id, sequence and data of the newest message of a subject; a sequence of 0 if there is none."""
        try:
            last = await self._client.jetstream().get_last_msg(JOURNAL, subject)
        except NotFoundError:
            return None, 0, b"[]"
        return (last.headers or {}).get(PUBLISH_ID), last.seq or 0, last.data or b"[]"

    def _held(self, number: int, sequence: int) -> None:
        if self._unwell:
            self._unwell = False
            self._health.holds(CONDITION)
        self._last = max(self._last, sequence)
        self._pipeline.held(number, sequence)
        self.send()

    def _refused(self, number: int, reason: str) -> None:
        publish = self._queues.get(number)
        if publish is not None and publish.queue is None:
            self._log("the dead-letter stream refuses", reason=reason)
        elif self._queues.refusal is None:
            self._fail(reason)
            self._log("the journal refuses messages; they wait", reason=reason)
        self._queues.refused(number, reason, self._loop.time())
        self._attention.set()

    def _fail(self, reason: str) -> None:
        self._unwell = True
        self._health.fails(CONDITION, reason)

    def _log(self, event: str, **details: str | int) -> None:
        """Log an error, unless one was logged in the last LOG_EVERY seconds."""
        if self._loop.time() - self._logged_at > LOG_EVERY:
            self._logged_at = self._loop.time()
            log.error(event, **details)
