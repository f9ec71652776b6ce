"""Reads the state of the journal and of the dead-letter stream. Needs `$JS.API.STREAM.INFO.*`,
`$JS.API.CONSUMER.INFO.TELEMETRY.writer`, `$JS.API.STREAM.MSG.GET.TELEMETRY`, and no more.

The server lists the sequences missing between the first and the last it holds: none, unless somebody deleted messages
or its disk lost them. Up to the consumer's ack floor every message is acknowledged.
"""

from typing import Final

from nats.aio.client import Client
from nats.js.errors import NotFoundError
from seve_runtime.errors import SeveError
from seve_runtime.nats.stream_info import StreamInfo, StreamState, stream_info
from seve_runtime.nats.topology import DEADLETTER, JOURNAL, WRITER
from seve_schema.times import to_micros

from seve_writer.audit.ranges import except_for
from seve_writer.audit.reconcile import Journal

AT_MOST: Final = 4_000_000
"""Most missing sequences to ask for. Beyond twice as many, the server closes the connection: its answer is too long."""

_ANSWER: Final = 30.0
"""Seconds."""


class JournalError(SeveError):
    """The journal, or the stream of dead letters, could not be read; `reason` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


async def look(client: Client) -> Journal:
    """Return the current state of the journal. Raises JournalError and nats errors.

    The ack floor is read before the state: every message up to the floor was stored by then. The creation time is read
    first; the caller compares it with that of `end`, to notice a journal that was recreated meanwhile.
    """
    first, state = await _ask(client, JOURNAL)
    if state.num_deleted > AT_MOST:
        raise JournalError(f"{state.num_deleted:,} messages are missing in its middle: too many to be listed")
    consumer = await client.jetstream().consumer_info(JOURNAL, WRITER)
    floor = consumer.ack_floor.stream_seq if consumer.ack_floor else 0
    _, state = await _ask(client, JOURNAL, deleted_details=True)
    missing = sorted({*state.deleted, *((state.lost and state.lost.msgs) or ())})
    held = except_for(state.first_seq, state.last_seq, missing) if state.messages else ()
    unstored = (consumer.num_pending or 0) + (consumer.num_ack_pending or 0)
    return Journal(
        created=first.created_at,
        last=state.last_seq,
        held=held,
        ack_floor=floor,
        oldest=await _oldest(client, floor) if unstored else None,
    )


async def _oldest(client: Client, floor: int) -> int | None:
    """Return when the journal stored its first message above the ack floor, in microseconds since 1970; None if there
    is no such message.
    """
    try:
        message = await client.jetstream().get_msg(JOURNAL, floor + 1, next=True, subject=">")
    except NotFoundError:
        return None
    return to_micros(message.time) if message.time else None


async def end(client: Client) -> tuple[int, int]:
    """Return when the journal was created, and its last sequence. Raises as `look`."""
    answer, state = await _ask(client, JOURNAL)
    return answer.created_at, state.last_seq


async def dead_letters(client: Client) -> tuple[float, int]:
    """Return how long dead letters are kept, in seconds, and the number of the writer's. Raises as `look`."""
    answer, state = await _ask(client, DEADLETTER, subjects_filter="deadletter.writer.>")
    return answer.config.max_age / 1e9, sum(state.subjects.values())


async def _ask(
    client: Client, stream: str, *, deleted_details: bool = False, subjects_filter: str = ""
) -> tuple[StreamInfo, StreamState]:
    info = await stream_info(
        client, stream, patience=_ANSWER, deleted_details=deleted_details, subjects_filter=subjects_filter
    )
    if info.state is None:
        reason = info.error.description if info.error else "no answer"
        raise JournalError(f"stream {stream}: {reason}; `seve-writer setup` creates it")
    return info, info.state
