"""Asks NATS how the journal stands, and what dead letters are kept. Needs `$JS.API.STREAM.INFO.*` and no more.

A work queue holds what is not acknowledged: what it holds is what waits. The server names the sequences that are gone
between the first and the last it holds; all others it holds. These gaps are few, since acknowledgements come nearly in
order, so that asking costs the same with ten messages waiting as with ten millions: 1 ms, and 0.1 s for a million gaps
(2 cores; `AT_MOST` of them make an answer of 30 MB in half a second).
"""

from typing import Final

from nats.aio.client import Client
from seve_runtime.errors import SeveError
from seve_runtime.nats.stream_info import Account, State, ask
from seve_runtime.nats.topology import DEADLETTER, JOURNAL
from seve_schema.times import to_micros

from seve_writer.audit.ranges import except_for
from seve_writer.audit.reconcile import Journal

AT_MOST: Final = 4_000_000
"""Gaps to ask for: beyond twice this the server cuts the connection for an answer that is too long."""

_ANSWER: Final = 30.0
"""Seconds."""


class JournalError(SeveError):
    """The journal, or the stream of dead letters, could not be read; `reason` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


async def look(client: Client) -> Journal:
    """The journal at one moment: the server answers out of one state. Raises JournalError and nats errors."""
    _, state = await _ask(client, JOURNAL)
    if state.num_deleted > AT_MOST:
        raise JournalError(
            f"{state.num_deleted:,} messages were acknowledged behind sequence {state.first_seq}, which waits since"
            f" {state.first_ts:%Y-%m-%d %H:%M:%S} UTC: too many to be listed; ask again once that is written"
        )
    answer, state = await _ask(client, JOURNAL, deleted_details=True)
    held = except_for(state.first_seq, state.last_seq, sorted(state.deleted)) if state.messages else ()
    return Journal(
        created=answer.made,
        last=state.last_seq,
        held=held,
        oldest=to_micros(state.first_ts) if state.messages else None,
    )


async def end(client: Client) -> tuple[int, int]:
    """When the journal was made and its last sequence. Raises as `look`."""
    answer, state = await _ask(client, JOURNAL)
    return answer.made, state.last_seq


async def letters(client: Client) -> tuple[float, int]:
    """For how many seconds dead letters are kept, and how many there are of the writer's. Raises as `look`."""
    answer, state = await _ask(client, DEADLETTER, subjects_filter="deadletter.writer.>")
    return answer.config.max_age / 1e9, sum(state.subjects.values())


async def _ask(
    client: Client, stream: str, *, deleted_details: bool = False, subjects_filter: str = ""
) -> tuple[Account, State]:
    found = await ask(
        client, stream, patience=_ANSWER, deleted_details=deleted_details, subjects_filter=subjects_filter
    )
    if found.state is None:
        said = found.error.description if found.error else "no answer"
        raise JournalError(f"stream {stream}: {said}; `seve-writer setup` makes it")
    return found, found.state
