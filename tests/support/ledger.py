"""The ledger of a pipeline beside its journal: whether every message is accounted for, as `make audit` tells it."""

import asyncio

from seve_runtime.settings import load
from seve_writer.audit.command import examine
from seve_writer.audit.reconcile import Audit, JournalFinding
from seve_writer.audit.report import verdict
from seve_writer.settings import AuditSettings

from support.conditions import wait_until


def audit(stack) -> Audit:
    """The audit, now."""
    settings = load(AuditSettings, {"NATS_URL": stack.nats_url, "DATABASE_URL": stack.database_url})
    return asyncio.run(examine(settings))[0]


def accounted(stack) -> JournalFinding:
    """What became of the messages of the journal in use."""
    return audit(stack).findings[-1]


def commits(stack) -> dict[int, float]:
    """When each journal sequence was committed first (seconds since 1970), of those not merged by the hour yet."""
    parts = "SELECT committed_at, lower(part), upper(part) FROM ledger, unnest(sequences) AS part ORDER BY 1 DESC"
    return {sequence: at.timestamp() for at, start, end in stack.query(parts) for sequence in range(start, end)}


def assert_every_message_is_accounted_for(stack) -> None:
    """Nothing waits any more, and nothing is lost, now or while it was awaited."""

    def all_written() -> bool:
        found = audit(stack)
        assert found.sound, verdict(found)
        return found.findings[-1].waiting == 0

    wait_until(all_written, "everything written")
