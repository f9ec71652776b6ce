"""Looks at the journal: which one it is, and every few seconds how far the writers are behind. Changes nothing."""

import time
from typing import Final

import msgspec
import structlog
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.errors import APIError
from seve_runtime.lifecycle import Stop, pause
from seve_runtime.nats.stream_info import ask
from seve_runtime.nats.topology import JOURNAL, WRITER

from seve_writer import metrics
from seve_writer.errors import JournalReplaced
from seve_writer.journal.consumer import Intake

log = structlog.get_logger()

EVERY: Final = 2.0
"""Seconds between looks."""

_ANSWER: Final = 5.0
_PATIENCE: Final = 1.0
"""Seconds that an answer may take; the second where a batch waits for it."""


class Watch:
    """`journal` is when the journal was created, in microseconds since 1970: the first half of every position.
    `ack_wait` is the consumer's own, in seconds: what `setup` was told, whatever this writer was.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._js = client.jetstream()
        self.journal = 0
        self.ack_wait = 0.0

    async def look(self) -> None:
        """Ask once. Raises nats errors, and JournalReplaced."""
        stream = await ask(self._client, JOURNAL, patience=_ANSWER)
        if stream.state is None:
            raise APIError(description=stream.error.description if stream.error else "no state of the journal")
        created = stream.made
        if self.journal not in (0, created):
            raise JournalReplaced(self.journal, created)
        self.journal = created
        consumer = await self._js.consumer_info(JOURNAL, WRITER)
        self.ack_wait = consumer.config.ack_wait or 30.0
        state = stream.state
        metrics.LAG.set(state.messages)
        metrics.OLDEST_SECONDS.set(max(0.0, time.time() - state.first_ts.timestamp()) if state.messages else 0.0)
        metrics.ACK_PENDING.set(consumer.num_ack_pending or 0)

    async def present(self) -> int | None:
        """When the journal was made that is there now; None where nobody says, or there is none."""
        if not self._client.is_connected:
            return None
        try:
            stream = await ask(self._client, JOURNAL, patience=_PATIENCE)
        except (NatsError, OSError) as error:
            log.warning("the journal cannot be looked at", error=str(error) or type(error).__name__)
            return None
        return stream.made if stream.created else None

    async def run(self, stop: Stop, intake: Intake) -> None:
        """Look until `stop`. Where the journal was replaced, disowns what is in hand and raises JournalReplaced: what
        came from the old one is written and acknowledged to nobody: its sequences are other messages of the new one.
        """
        while not await pause(stop, EVERY):
            try:
                await self.look()
            except JournalReplaced:
                intake.disown()
                raise
            except (NatsError, OSError, msgspec.DecodeError) as error:
                log.warning("the journal cannot be looked at", error=str(error) or type(error).__name__)
