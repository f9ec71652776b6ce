"""Every setting of every command can be set: a faulty declaration would show only to the person who sets it."""

import pytest
from seve_broadcaster.settings import Settings as BroadcasterSettings
from seve_embedded.settings import StackSettings
from seve_fleet.settings import FleetSettings
from seve_ingest.settings import Settings as IngestSettings
from seve_runtime.settings import describe, load
from seve_writer.settings import AuditSettings, WriterSettings

REQUIRED = {"DATABASE_URL": "postgresql://localhost/seve"}


@pytest.mark.parametrize(
    "cls", [IngestSettings, WriterSettings, AuditSettings, BroadcasterSettings, FleetSettings, StackSettings]
)
def test_every_default_may_be_said_outright(cls):
    """Saying of each setting what it is anyway changes nothing."""
    said = {row.name: row.default for row in describe(cls) if row.default and not row.secret}

    assert said
    assert load(cls, {**REQUIRED, **said}) == load(cls, REQUIRED)
