"""Looks at the journal every few seconds: which one it is, and how far the writers are behind. Changes nothing."""

import time
from typing import Final

import structlog
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from seve_runtime.lifecycle import Stop, pause
from seve_runtime.topology import JOURNAL, WRITER
from seve_schema.times import to_micros

from seve_writer import metrics
from seve_writer.batch import Waiting
from seve_writer.intake import Intake

log = structlog.get_logger()

EVERY: Final = 2.0
"""Seconds between looks."""


class Watch:
    """`journal` is when the journal was created, in microseconds since 1970: the first half of every position.
    `ack_wait` is the consumer's own, in seconds: what `setup` was told, whatever this writer was.
    """

    def __init__(self, js: JetStreamContext) -> None:
        self._js = js
        self.journal = 0
        self.ack_wait = 0.0

    async def look(self) -> None:
        """Ask once. Raises nats errors."""
        stream = await self._js.stream_info(JOURNAL)
        if stream.created is None:
            raise ValueError("the journal does not say when it was created")
        created = to_micros(stream.created)
        if self.journal not in (0, created):
            log.warning("the journal was made anew", created=stream.created.isoformat())
        self.journal = created
        consumer = await self._js.consumer_info(JOURNAL, WRITER)
        self.ack_wait = consumer.config.ack_wait or 30.0
        metrics.LAG.set(stream.state.messages)
        metrics.ACK_PENDING.set(consumer.num_ack_pending or 0)

    async def run(self, stop: Stop, intake: Intake, waiting: Waiting) -> None:
        """Look until `stop`."""
        while not await pause(stop, EVERY):
            metrics.HELD.set(intake.held)
            metrics.WAITING.set(waiting.rows)
            oldest = intake.oldest_ns
            metrics.OLDEST_SECONDS.set(max(0.0, time.time() - oldest / 1e9) if oldest else 0.0)
            try:
                await self.look()
            except (NatsError, OSError) as error:
                log.warning("the journal cannot be looked at", error=str(error) or type(error).__name__)
