"""Runs several statements in one message of the simple protocol, one COPY at most, in two round trips. psycopg's own
`copy` takes one statement per message, each a round trip to a distant database; so this drives libpq through psycopg's
generators, as its cursors do. Knows no table.
"""

from collections.abc import Sequence
from typing import Any, Final

from psycopg import AsyncConnection, generators, pq
from psycopg.abc import PQGen
from psycopg.errors import error_from_result
from psycopg.pq.abc import PGconn, PGresult

_CHUNK: Final = 1 << 18
"""Bytes given to libpq at a time: it buffers what it is given, and a very large buffer stalls it."""


async def run(connection: AsyncConnection[Any], statements: Sequence[str], copied: bytes = b"") -> list[PGresult]:
    """Run `statements` in one message, send `copied` to the COPY among them, and return a result for each.

    Raises psycopg.Error for the first statement that failed; later ones did not run.
    """
    text = ";".join(statements).encode()
    async with connection.lock:
        return await connection.wait(_script(connection.pgconn, text, copied))


def _script(pgconn: PGconn, text: bytes, copied: bytes) -> PQGen[list[PGresult]]:
    pgconn.send_query(text)
    results: list[PGresult] = yield from generators.execute(pgconn)
    if results and results[-1].status == pq.ExecStatus.COPY_IN:
        results.pop()
        for start in range(0, len(copied), _CHUNK):
            yield from generators.copy_to(pgconn, copied[start : start + _CHUNK], flush=False)
        while pgconn.put_copy_end() == 0:
            yield from generators.send(pgconn)
        results += yield from generators.execute(pgconn)
    for result in results:
        if result.status == pq.ExecStatus.FATAL_ERROR:
            raise error_from_result(result)
    return results
