"""Compares a pipeline's ledger with its journal, as `make audit` does: to find unaccounted messages."""

import asyncio

from seve_runtime.settings import load
from seve_writer.audit.command import examine
from seve_writer.audit.reconcile import Audit, JournalFinding
from seve_writer.audit.report import verdict
from seve_writer.settings import AuditSettings

from support.conditions import wait_until


def audit(stack) -> Audit:
    """Return an audit of the pipeline."""
    settings = load(AuditSettings, {"NATS_URL": stack.nats_url, "DATABASE_URL": stack.database_url})
    return asyncio.run(examine(settings))[0]


def accounted(stack) -> JournalFinding:
    """Return the audit's finding for the current journal."""
    return audit(stack).findings[-1]


def commits(stack) -> dict[int, float]:
    """Return when each journal sequence was first committed (seconds since 1970), unless it is merged already."""
    parts = "SELECT committed_at, lower(part), upper(part) FROM ledger, unnest(sequences) AS part ORDER BY 1 DESC"
    return {sequence: at.timestamp() for at, start, end in stack.query(parts) for sequence in range(start, end)}


def assert_every_message_is_accounted_for(stack) -> None:
    """Wait until no message waits; assert that none is lost, then or meanwhile."""

    def all_written() -> bool:
        found = audit(stack)
        assert found.sound, verdict(found)
        return found.findings[-1].waiting == 0

    wait_until(all_written, "everything written")
