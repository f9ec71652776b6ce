"""Every setting of every command can be set: its default, written as `--help` shows it, is read back as the default."""

import pytest
from seve_broadcaster.settings import Settings as Broadcaster
from seve_embedded.settings import StackSettings
from seve_fleet.settings import FleetSettings
from seve_ingest.settings import Settings as Ingest
from seve_runtime.settings import describe, load
from seve_writer.settings import WriterSettings as Writer


@pytest.mark.parametrize(
    "cls", [Ingest, Writer, Broadcaster, FleetSettings, StackSettings], ids=lambda cls: cls.__module__
)
def test_a_default_as_it_is_shown_is_the_default(cls):
    needed = {row.name: "postgresql://localhost/seve" for row in describe(cls) if row.default is None}
    shown = {row.name: row.default for row in describe(cls) if row.default}
    assert load(cls, needed) == load(cls, {**needed, **shown})
