"""The ledger of a pipeline beside its journal: whether every message is accounted for."""

import asyncio
from typing import NamedTuple

from nats.aio.client import Client

from servers.conditions import wait_until


class Totals(NamedTuple):
    """Sums of the ledger, and the journal sequences it has: how many different ones, how many in all, the last."""

    received: int
    inserted: int
    updated: int
    replaced: int
    dead: int
    ignored: int
    different: int
    sequences: int
    last: int

    @property
    def outcomes(self) -> int:
        return self.inserted + self.updated + self.replaced + self.dead + self.ignored


LEDGER = """
WITH parts AS (SELECT unnest(sequences) AS part FROM ledger),
whole AS (SELECT unnest(range_agg(sequences)) AS part FROM ledger)
SELECT sum(received)::int, sum(inserted)::int, sum(updated)::int, sum(replaced)::int, sum(dead)::int,
       sum(ignored)::int,
       (SELECT sum(upper(part) - lower(part)) FROM whole)::int,
       (SELECT sum(upper(part) - lower(part)) FROM parts)::int,
       (SELECT max(upper(part)) - 1 FROM whole)::int
FROM ledger
"""


def ledger(stack) -> Totals:
    """The ledger as it stands."""
    (row,) = stack.query(LEDGER)
    return Totals(*(value or 0 for value in row))


def commits(stack) -> dict[int, float]:
    """When each journal sequence was committed first (seconds since 1970), of those not merged by the hour yet."""
    parts = "SELECT committed_at, lower(part), upper(part) FROM ledger, unnest(sequences) AS part ORDER BY 1 DESC"
    return {sequence: at.timestamp() for at, start, end in stack.query(parts) for sequence in range(start, end)}


def journal_end(stack) -> int:
    """The journal's last sequence."""

    async def ask() -> int:
        client = Client()
        await client.connect(stack.nats_url)
        try:
            return (await client.jetstream().stream_info("TELEMETRY")).state.last_seq
        finally:
            await client.close()

    return asyncio.run(ask())


def assert_every_message_is_accounted_for(stack) -> None:
    """All sequences from the first to the journal's end are in the ledger, with an outcome for each envelope."""
    wait_until(lambda: ledger(stack).last == journal_end(stack), "the ledger at the journal's end")
    wait_until(lambda: ledger(stack).last == ledger(stack).different, "every sequence in the ledger")
    totals = ledger(stack)
    assert totals.received == totals.outcomes
