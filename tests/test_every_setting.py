"""Every setting of every command can be set: a faulty declaration would show only to the person who sets it."""

import pytest
from seve_broadcaster.settings import Settings as BroadcasterSettings
from seve_embedded.settings import StackSettings
from seve_embedded.shared import known_settings
from seve_fleet.settings import FleetSettings
from seve_history.settings import HistorySettings
from seve_ingest.factory import normaliser
from seve_ingest.settings import Settings as IngestSettings
from seve_runtime.errors import SettingsError
from seve_runtime.settings import describe, load
from seve_writer.settings import AuditSettings, WriterSettings

SET_BY_THE_STACK = {"ADMIN_LISTEN"}
COMMANDS = (IngestSettings, WriterSettings, HistorySettings, BroadcasterSettings, FleetSettings, StackSettings)
REQUIRED = {"DATABASE_URL": "postgresql://localhost/seve"}


@pytest.mark.parametrize("cls", [*COMMANDS, AuditSettings])
def test_every_default_may_be_written_out(cls):
    """Setting every setting to its default changes nothing."""
    said = {row.name: row.default for row in describe(cls) if row.default and not row.secret}

    assert said
    assert load(cls, {**REQUIRED, **said}) == load(cls, REQUIRED)


@pytest.mark.parametrize("cls", COMMANDS)
def test_every_setting_is_a_known_setting(cls):
    names = {row.name for row in describe(cls)} - SET_BY_THE_STACK
    assert names
    assert names <= known_settings.known()


@pytest.mark.parametrize(
    ("cls", "name"),
    [
        (WriterSettings, "MAINTENANCE_INTERVAL"),
        (WriterSettings, "DATABASE_TIMEOUT"),
        (WriterSettings, "ACK_WAIT"),
        (IngestSettings, "MQTT_RECONNECT"),
        (IngestSettings, "PUBLISH_TIMEOUT"),
        (HistorySettings, "QUERY_TIMEOUT"),
        (HistorySettings, "QUERY_MAX_RANGE"),
        (BroadcasterSettings, "WS_PING_INTERVAL"),
        (BroadcasterSettings, "LATEST_SAVE_INTERVAL"),
        (StackSettings, "START_TIMEOUT"),
    ],
)
def test_a_zero_duration_is_refused_for_periods_and_timeouts(cls, name):
    with pytest.raises(SettingsError) as raised:
        load(cls, {**REQUIRED, name: "0"})
    assert [fault.split()[0] for fault in raised.value.faults] == [name]


def test_a_retention_of_zero_keeps_everything_in_every_service():
    """One RETENTION in `.env` is read by ingest and by the writer."""
    rules = load(IngestSettings, {"RETENTION": "0"}).rules
    outcome = normaliser(rules)(
        b"croissance/co2", b'{"value": 1, "time": "2001-01-01T00:00:00Z"}', received_at=1_600_000_000 * 10**6
    )
    assert load(WriterSettings, {**REQUIRED, "RETENTION": "0"}).retention == 0
    assert outcome.rejection is None
    assert outcome.envelopes[0].time.startswith("2001-01-01")
