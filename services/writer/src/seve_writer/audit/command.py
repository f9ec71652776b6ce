"""`seve-writer audit`: reads, reconciles, reports. Changes nothing, and may run at any time beside running services.

The order of reading makes a false alarm impossible. A message enters the journal, is committed with its row of the
ledger, and only then acknowledged; nothing leaves the ledger, and nothing above the ack floor leaves the journal. So at
every moment each message is above the ack floor, in the ledger, or both. The ack floor is read before the ledger: every
message up to the floor was committed by then, so the ledger has it. Sequences in the ledger beyond the journal's end
arrived meanwhile and are left out. To detect a journal that was set back, its end is read again after the ledger: by
then it has reached every sequence in the ledger. If the journal was recreated between the first and the last reading,
everything is read again.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import psycopg
from nats.aio.client import Client
from nats.errors import Error as NatsError
from seve_runtime.clock import micros
from seve_runtime.errors import SeveError, describe
from seve_runtime.nats.connection import connected_once
from seve_runtime.units import DAY

from seve_writer.audit import journal, ledger, report
from seve_writer.audit.journal import JournalError
from seve_writer.audit.reconcile import Audit, Journal, Ledger, reconcile
from seve_writer.settings import AuditSettings

_TIMES: Final = 3
"""Attempts to read a journal that is replaced while it is read."""
_PATIENCE: Final = 120.0
"""Seconds that reading the ledger may take."""


class Unreachable(SeveError):
    """NATS or the database did not answer; `setting` names the setting with its address."""

    def __init__(self, what: str, setting: str, error: Exception) -> None:
        super().__init__(f"{what} does not answer ({setting}): {describe(error)}")
        self.setting = setting


async def command(settings: AuditSettings, *, since: int | None, as_json: bool, say: Callable[[str], None]) -> int:
    """Run the command and return its exit code: 0 if every message is accounted for, else 1. Raises as `examine`."""
    audit, state, dead_letters = await examine(settings, since)
    render = report.as_json if as_json else report.report
    say(render(audit, state, dead_letters, micros()))
    return 0 if audit.sound else 1


async def examine(settings: AuditSettings, since: int | None = None) -> tuple[Audit, Journal, report.DeadLetterCounts]:
    """Return the audit, its journal and the dead letters. Raises Unreachable, JournalError and SettingsError."""
    ledger.check(settings.database_url)
    try:
        async with connected_once(settings.nats, "seve-writer audit") as client:
            return await _examine(client, settings, since)
    except (NatsError, OSError) as error:
        raise Unreachable("NATS", "NATS_URL", error) from error


async def _examine(
    client: Client, settings: AuditSettings, since: int | None
) -> tuple[Audit, Journal, report.DeadLetterCounts]:
    age, _ = await journal.dead_letters(client)
    for _ in range(_TIMES):
        state = await journal.look(client)
        entries, dead = await _ledger(settings, age)
        created, end = await journal.end(client)
        if created == state.created:
            _, kept = await journal.dead_letters(client)
            dead_letters = report.DeadLetterCounts(days=age / DAY, counted=dead, kept=kept)
            return reconcile(state, entries, end=end, since=since), state, dead_letters
    raise JournalError(f"the journal was recreated {_TIMES} times while it was read; run the audit again")


async def _ledger(settings: AuditSettings, age: float) -> tuple[Ledger, int]:
    try:
        async with asyncio.timeout(_PATIENCE):
            return await ledger.read(settings.database_url, age)
    except (psycopg.Error, TimeoutError, OSError) as error:
        raise Unreachable("the database", "DATABASE_URL", error) from error
