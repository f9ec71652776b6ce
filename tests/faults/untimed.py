"""Samples at QoS 1 without a time of their own, beside the fleet: what is delivered again cannot be told from a new one
by its content, and every second row counts. The value of each is its number.
"""

import tempfile
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from bench.measure import LoadSpec, publish
from bench.rows import verdict
from faults.verdict import Untimed
from support.stack import Stack

RATE, MODULES = 100, 20
FIRST = 1_000_000
FORGETS = 1_000_000
"""Microseconds before its end in which a killed broker may have taken acknowledgements that it did not keep."""
NEXT = "SELECT coalesce(max(value), %s)::bigint + 1 FROM measurements WHERE module_id LIKE 'load-%%'"


FORGOTTEN = """
SELECT coalesce(sum(rows - 1), 0) FROM (
    SELECT count(*) AS rows, (extract(epoch FROM min(time)) * 1e6)::bigint AS first FROM measurements
    WHERE value >= %s AND value < %s AND value::bigint <> ALL(%s::bigint[]) GROUP BY value
) AS found WHERE first BETWEEN %s AND %s
"""


class Numbered:
    """A load under way, on a connection per device; a device that loses it repeats what was not acknowledged."""

    def __init__(self, stack: Stack, first: int, seconds: float, load: Future) -> None:
        self._stack = stack
        self._first = first
        self._count = round(RATE * seconds)
        self._load = load

    def account(self, broker_killed: int | None) -> Untimed:
        """What became of them, once all are acknowledged and the ledger is complete. What a device sent twice may be
        there twice; so may what came just before the broker was killed (microseconds since 1970).
        """
        load, end = self._load.result(), self._first + self._count
        found = verdict(self._stack, self._first, self._count, load)
        forgotten = 0
        if broker_killed:
            repeated = [self._first + number for number in load["repeated"]]
            span = (broker_killed - FORGETS, broker_killed)
            forgotten = int(self._stack.query(FORGOTTEN, self._first, end, repeated, *span)[0][0])
        return Untimed(load["sent"], load["acknowledged"], found["rows_missing"], found["rows_twice"], forgotten)


@contextmanager
def untimed(stack: Stack, seconds: float) -> Iterator[Numbered]:
    """Publish them for so long; over when the context is."""
    first = stack.query(NEXT, FIRST)[0][0]
    spec = LoadSpec(RATE, seconds, MODULES, MODULES, arrive=True)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(1) as elsewhere:
        load = elsewhere.submit(publish, stack.mqtt_url, spec, Path(folder) / "sent", first)
        yield Numbered(stack, first, seconds, load)
