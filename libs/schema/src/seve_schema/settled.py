"""SQL that writers and history share: it selects samples up to a position of the journal, or after one.

A row's position is one number: its lower `SEQUENCE_BITS` are the sequence, the higher ones the number of the journal in
the table `journals`.
"""

from typing import Final

NUMBER: Final = "SELECT number FROM journals WHERE created = %s"

REACH: Final = """
SELECT upper(part) - 1 FROM (
    SELECT unnest(range_agg(sequences)) AS part FROM ledger WHERE journal = %(journal)s AND upper(sequences) > %(next)s
) AS parts WHERE part @> %(next)s::bigint
"""
"""Returns the last sequence up to which the ledger has every sequence from `next` on; no row if it does not have `next`
itself. Writers commit out of order, so the ledger may have sequences behind a hole.
"""

SETTLED: Final = "(position IS NULL OR position <= %(settled)s OR position > %(last)s)"
"""A condition on rows of `measurements`. It leaves out the rows after `settled` up to `last`, two positions in one
journal. It keeps rows of other journals, and rows without a position, which earlier versions wrote.
"""

EARLIEST_AFTER: Final = """
SELECT min(earliest) FROM journals AS j, LATERAL (
    SELECT min(earliest) AS earliest FROM ledger
    WHERE journal = j.created AND upper(sequences) > greatest(%(position)s - (j.number::bigint << 48), 0)
) AS found WHERE j.number >= %(position)s::bigint >> 48
"""
"""Returns a time that no sample after a position is earlier than; null if there is no such sample."""
