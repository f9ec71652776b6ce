"""SQL that writers and history share: which samples lie up to a position of the journal, and which came after one.

A row's position is one number: the number of its journal in the table `journals`, above `SEQUENCE_BITS` of sequence.
"""

from typing import Final

NUMBER: Final = "SELECT number FROM journals WHERE created = %s"

REACH: Final = """
SELECT upper(part) - 1 FROM (
    SELECT unnest(range_agg(sequences)) AS part FROM ledger WHERE journal = %(journal)s AND upper(sequences) > %(next)s
) AS parts WHERE part @> %(next)s::bigint
"""
"""How far every sequence from `next` on is in the ledger; nothing where that is not. Writers commit out of order, so
there may be holes, and more behind them.
"""

SETTLED: Final = "(position IS NULL OR position <= %(settled)s OR position > %(last)s)"
"""Restricts rows of `measurements`: rows of one journal behind `settled`, up to `last`, are left out; rows of other
journals, and those of earlier versions, which have no position, are not.
"""

EARLIEST_AFTER: Final = """
SELECT min(earliest) FROM journals AS j, LATERAL (
    SELECT min(earliest) AS earliest FROM ledger
    WHERE journal = j.created AND upper(sequences) > greatest(%(position)s - (j.number::bigint << 48), 0)
) AS found WHERE j.number >= %(position)s::bigint >> 48
"""
"""The earliest time of the samples that lie behind a position; no later than that, and null where there are none."""
