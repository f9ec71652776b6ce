"""A run's samples in PostgreSQL: how many are missing, how many are there twice, and when each was committed."""

import time

STORED = "SELECT count(DISTINCT value) FROM measurements WHERE value >= %s AND value < %s"
COUNTED = """
SELECT count(DISTINCT value), count(*) FILTER (WHERE once) - count(DISTINCT value) FILTER (WHERE once)
FROM (
    SELECT value, value::bigint <> ALL(%s::bigint[]) AS once FROM measurements WHERE value >= %s AND value < %s
) AS run
"""
ACCOUNTED = "SELECT coalesce(sum(received), 0) FROM ledger"
"""Cheap to ask while something is measured; of all that was ever written."""
COMMITTED = """
SELECT value::bigint, (extract(epoch FROM pg_xact_commit_timestamp(xmin)) * 1e6)::bigint
FROM measurements WHERE value >= %s AND value < %s AND value::bigint %% %s = 0
"""
SPAN = """
SELECT extract(epoch FROM max(pg_xact_commit_timestamp(xmin)) - min(pg_xact_commit_timestamp(xmin)))::float8,
       count(DISTINCT xmin::text)
FROM measurements WHERE value >= %s AND value < %s
"""
SAMPLED = 200_000
"""Rows whose commit times are read, at most about."""
POLL_SECONDS = 0.1


def accounted(stack) -> int:
    """Envelopes that the ledger has ever counted."""
    return int(stack.query(ACCOUNTED)[0][0])


def wait_stored(stack, first: int, count: int, expected: int, *, before: int, patience: float = 60) -> None:
    """Until that many rows of the run are stored, or nothing more was for `patience` seconds.

    Asks the ledger, of which `before` is the account at the start, until that has the whole run; only then the table.
    """
    seen, newest = -1, time.monotonic()
    while time.monotonic() - newest < patience:
        found = accounted(stack) - before
        if found >= expected and (found := stack.query(STORED, first, first + count)[0][0]) >= expected:
            return
        if found != seen:
            seen, newest = found, time.monotonic()
        time.sleep(POLL_SECONDS)


def verdict(stack, first: int, count: int, load: dict) -> dict[str, int]:
    """Rows missing, and rows there more than once, under whatever name.

    A sample that its device published again, because the broker closed the connection before its PUBACK, may be there
    twice: `load` tells its number, and it does not count.
    """
    repeated = [first + number for number in load["repeated"]]
    values, twice = stack.query(COUNTED, repeated, first, first + count)[0]
    return {"rows_missing": load["sent"] - values, "rows_twice": twice}


def commit_times(stack, first: int, count: int) -> list[tuple[int, int]]:
    """Number (from 0) and commit time (microseconds since 1970) of samples, evenly chosen where there are many."""
    step = max(1, count // SAMPLED)
    return [(value - first, at) for value, at in stack.query(COMMITTED, first, first + count, step)]


def span(stack, first: int, count: int) -> tuple[float, int]:
    """Seconds between the first and the last commit of a run's rows, and how many transactions had any of them."""
    seconds, transactions = stack.query(SPAN, first, first + count)[0]
    return seconds or 0.0, transactions
