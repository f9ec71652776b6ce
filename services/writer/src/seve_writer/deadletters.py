"""Publishes envelopes that are unreadable or that the database refused to the dead-letter stream, with SQLSTATE and
error. The message id makes a redelivered envelope the same dead letter. At most 100 per second and reason; the others
are counted.

Never makes a writer wait for long: a dead letter that is not confirmed in time is published again at the next delivery
of its message.

Queue: dead letters of one batch that wait for their confirmation. Bound: 100 per second and reason; overflow rule:
counted, not kept; counter: `seve_writer_deadletters_suppressed_total`.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from seve_runtime.errors import describe
from seve_runtime.rate_limit import Quota
from seve_schema.codec import decode_envelopes, encode, split
from seve_schema.deadletter import JournalDeadLetter, WriterDeadLetter
from seve_schema.position import Position
from seve_schema.subjects import deadletter_subject
from seve_schema.times import format_time

from seve_writer import metrics
from seve_writer.decode import Unit, Unreadable

log = structlog.get_logger()

PER_SECOND: Final = 100
"""Dead letters of each reason per second."""

PATIENCE: Final = 1.0
"""Seconds that a stored batch waits for the confirmation of its dead letters. One that takes longer is published again
when its message is delivered again, after `ACK_WAIT`; its message id prevents a second copy.
"""

UNREADABLE: Final = "unreadable"
_MOST_BYTES: Final = 256 * 1024


class DeadLetters:
    """Publishes with confirmation. `micros` gives the time of day, microseconds since 1970."""

    def __init__(self, js: JetStreamContext, quota: Quota, micros: Callable[[], int]) -> None:
        self._js = js
        self._quota = quota
        self._micros = micros

    async def dead_letter(self, unit: Unit, journal: int, sqlstate: str | None, error: str) -> None:
        """Publish one envelope, or count it as suppressed. Raises a nats error if NATS does not confirm it."""
        reason = UNREADABLE if isinstance(unit.content, Unreadable) else sqlstate or "unknown"
        now = self._micros()
        if not self._quota.allows(reason, now / 1e6):
            metrics.SUPPRESSED.inc()
            return
        position = str(Position(journal, unit.message.sequence))
        content = _content(unit, position, sqlstate, error, format_time(now))
        await self._js.publish(
            deadletter_subject("writer", reason),
            encode(content),
            headers={"Nats-Msg-Id": f"{position}:{unit.index}"},
        )
        metrics.DEAD.labels(reason).inc()
        log.warning("dead letter", reason=reason, position=position, index=unit.index, error=error)


class RefusedUnits:
    """The envelopes of one batch that cannot be stored, and the publishing of their dead letters. `sequences` has the
    sequences of their messages.
    """

    def __init__(self, deadletters: DeadLetters, journal: int) -> None:
        self._deadletters = deadletters
        self._journal = journal
        self._letters: list[tuple[Unit, asyncio.Task[str]]] = []
        self.sequences: set[int] = set()

    def add(self, unit: Unit, sqlstate: str | None, error: str) -> None:
        """Start to publish the dead letter of one envelope."""
        self.sequences.add(unit.message.sequence)
        self._letters.append((unit, asyncio.create_task(self._publish(unit, sqlstate, error))))

    async def _publish(self, unit: Unit, sqlstate: str | None, error: str) -> str:
        """Publish one dead letter. Return why NATS did not confirm it, or an empty text."""
        try:
            await self._deadletters.dead_letter(unit, self._journal, sqlstate, error)
        except (NatsError, OSError) as failure:
            return describe(failure)
        return ""

    async def settle(self) -> tuple[list[Unit], set[int]]:
        """Wait for the confirmations, at most `PATIENCE` seconds. Return the envelopes whose dead letters were
        confirmed or suppressed, and the sequences of the messages that have an unconfirmed one.
        """
        if not self._letters:
            return [], set()
        done, _ = await asyncio.wait([task for _, task in self._letters], timeout=PATIENCE)
        failures = [
            (unit, task.result() if task in done else f"no answer within {PATIENCE:g} s")
            for unit, task in self._letters
        ]
        unsettled = {unit.message.sequence for unit, failure in failures if failure}
        if unsettled:
            reasons = [failure for _, failure in failures if failure]
            metrics.UNCONFIRMED.inc(len(reasons))
            log.warning(
                "dead letters not confirmed; their messages are not acknowledged, and come again after ACK_WAIT",
                deadletters=len(reasons),
                messages=len(unsettled),
                error=reasons[0],
            )
        return [unit for unit, failure in failures if not failure], unsettled

    def cancel(self) -> None:
        """Cancel the publishing that has not ended yet."""
        for _, task in self._letters:
            task.cancel()


def _content(
    unit: Unit, position: str, sqlstate: str | None, error: str, failed_at: str
) -> WriterDeadLetter | JournalDeadLetter:
    if isinstance(unit.content, Unreadable):
        return _raw(unit, unit.content.raw, position, unit.content.error, failed_at)
    raw = bytes(split(unit.message.data)[unit.index])
    try:
        envelope = decode_envelopes(b"[" + raw + b"]")[0]
    except ValueError:  # enough fields for a row, but no whole envelope: ingest did not publish it, no retry can help
        return _raw(unit, raw, position, error, failed_at)
    return WriterDeadLetter(
        envelope=envelope, position=position, index=unit.index, sqlstate=sqlstate, error=error, failed_at=failed_at
    )


def _raw(unit: Unit, raw: bytes, position: str, error: str, failed_at: str) -> JournalDeadLetter:
    return JournalDeadLetter(
        subject=unit.message.subject,
        payload=raw[:_MOST_BYTES],
        size=len(raw),
        position=position,
        index=unit.index,
        error=error,
        failed_at=failed_at,
    )
