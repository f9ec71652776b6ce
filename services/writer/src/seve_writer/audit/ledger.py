"""Reads the ledger in one read-only transaction with one snapshot. Needs SELECT on the tables, as a writer has; works
behind a transaction-pooling PgBouncer too. The database computes the spans, so the answer does not grow with the number
of transactions.
"""

from datetime import UTC, datetime
from typing import Any, Final

import psycopg
from psycopg import AsyncConnection, IsolationLevel
from psycopg.conninfo import conninfo_to_dict
from seve_runtime.errors import SettingsError
from seve_runtime.settings import Secret
from seve_schema.times import to_micros

from seve_writer.audit.reconcile import Entries, Ledger, Outcomes, Unbalanced

_CREATED: Final = "SELECT min(applied_at_utc) FROM schema_migrations"

_SUMS: Final = """
SELECT journal, count(*)::bigint,
       sum((SELECT coalesce(sum(upper(part) - lower(part)), 0) FROM unnest(sequences) AS part))::bigint,
       sum(received)::bigint, sum(inserted)::bigint, sum(updated)::bigint, sum(replaced)::bigint, sum(dead)::bigint,
       sum(ignored)::bigint
FROM ledger GROUP BY journal
"""

_SORTED: Final = "SET LOCAL enable_hashagg = off"
_SPANS: Final = """
SELECT journal, lower(part), upper(part) - 1
FROM (
    SELECT journal, unnest(range_agg(part)) AS part
    FROM (SELECT journal, range_agg(sequences) AS part FROM ledger GROUP BY journal, id / 100) AS pieces
    GROUP BY journal
) AS whole ORDER BY 1, 2
"""
"""Merges ranges in two steps, first those of 100 rows. Writers that share the journal interleave, so a row has many
ranges, most of them adjacent to ranges of its neighbours. With 4,000,000 ranges in 40,000 rows, one step took 590 MB of
the server's memory and 2.1 s; two steps take 43 MB and 1.3 s.
"""

_UNBALANCED: Final = """
SELECT id, sequences::text, received, inserted + updated + replaced + dead + ignored, count(*) OVER ()
FROM ledger
WHERE received <> inserted + updated + replaced + dead + ignored
   OR least(inserted, updated, replaced, dead, ignored) < 0
ORDER BY id LIMIT 10
"""

_DEAD: Final = """
SELECT coalesce(sum(dead), 0)::bigint FROM ledger
WHERE %(age)s = 0 OR committed_at > now() - make_interval(secs => %(age)s)
"""


def check(url: Secret) -> None:
    """Raise SettingsError if `url` is no connection string. psycopg's own error text may show a password."""
    try:
        conninfo_to_dict(url.reveal())
    except psycopg.ProgrammingError:
        raise SettingsError(["DATABASE_URL is not of the form postgresql://user:password@host/db"]) from None


async def read(url: Secret, age: float) -> tuple[Ledger, int]:
    """Return the ledger, and the number of envelopes that it counts as dead within the last `age` seconds (0: ever).

    Raises psycopg.Error.
    """
    connection: AsyncConnection[Any] = await AsyncConnection.connect(
        url.reveal(), prepare_threshold=None, connect_timeout=10, application_name="seve-writer audit"
    )
    async with connection:
        await connection.set_isolation_level(IsolationLevel.REPEATABLE_READ)
        await connection.set_read_only(True)
        return await _read(connection), await _dead(connection, age)


async def _read(connection: AsyncConnection[Any]) -> Ledger:
    ((created,),) = await _rows(connection, _CREATED)
    spans: dict[datetime, list[tuple[int, int]]] = {}
    await connection.execute(_SORTED)
    for journal, first, last in await _rows(connection, _SPANS):
        spans.setdefault(journal, []).append((first, last))
    entries = tuple(
        Entries(
            journal=to_micros(journal),
            rows=rows,
            named=named,
            spans=tuple(spans.get(journal, ())),
            outcomes=Outcomes(**dict(zip(Outcomes.__struct_fields__, sums, strict=True))),
        )
        for journal, rows, named, *sums in await _rows(connection, _SUMS)
    )
    wrong = await _rows(connection, _UNBALANCED)
    return Ledger(
        created=to_micros(created.replace(tzinfo=UTC)),
        entries=entries,
        unbalanced=tuple(Unbalanced(id=a, sequences=b, received=c, outcomes=d) for a, b, c, d, _ in wrong),
        unbalanced_rows=wrong[0][-1] if wrong else 0,
    )


async def _dead(connection: AsyncConnection[Any], age: float) -> int:
    ((dead,),) = await _rows(connection, _DEAD, {"age": age})
    return int(dead)


async def _rows(connection: AsyncConnection[Any], sql: str, given: dict[str, Any] | None = None) -> list[Any]:
    return await (await connection.execute(sql, given)).fetchall()
