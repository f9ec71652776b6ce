"""From the journal to the tables: the rows of each kind of message, and when it is acknowledged."""

import nats
import pytest
from seve_runtime.nats import topology
from support.conditions import eventually
from support.embedded import NatsServer
from support.stack import LOGINS

from .conftest import STREAMS, Journal, envelope, running, settings_for


async def test_a_sample_becomes_a_row_and_the_ledger_says_so(journal, writer, query):
    """One message makes one row, one ledger row with its sequence, and one acknowledgement."""
    sequence = await journal.publish(envelope())
    async with writer():
        await eventually(journal.empty, "the message acknowledged")
    assert query("SELECT module_id, sensor_type, hardware_id, value FROM measurements") == [
        ("croissance", "co2", "", 450.5)
    ]
    assert query(
        "SELECT sequences @> %s::bigint, received, inserted, updated, replaced, dead, ignored FROM ledger", sequence
    ) == [(True, 1, 1, 0, 0, 0, 0)]


async def test_each_kind_of_report_reaches_its_table(journal, writer, query):
    """One report of each kind makes one row, with the columns of its fields."""
    bodies = {
        "system.status": {"rssi": -45, "memory": {"heapFreeKb": 123, "heapMinFreeKb": 45}},
        "system.config": {
            "chipId": "a8bbcc",
            "ip": "192.168.1.100",
            "mac": "AA:BB:CC:DD:EE:FF",
            "uptimeStart": 1234567890,
            "flash": {"usedKb": 500, "freeKb": 1500, "systemKb": 200},
            "memory": {"heapTotalKb": 320},
        },
        "hardware.config": {"chip": {"model": "ESP32", "rev": 3, "cpuFreqMhz": 240, "flashKb": 4096, "cores": 2}},
        "sensors.status": {"co2": {"status": "ok", "value": 450}, "dht22": {"status": "missing", "value": None}},
        "sensors.config": {"co2": {"interval": 60, "model": "MH-Z14A", "enabled": True}},
        "presence": {"status": "online"},
    }
    for kind, body in bodies.items():
        await journal.publish(envelope(kind=kind, metadata=body))
    async with writer():
        await eventually(journal.empty, "all acknowledged")
    assert query(
        "SELECT chip_id, ip, mac, uptime_start, rssi, flash_used_kb, flash_free_kb, flash_system_kb, heap_total_kb,"
        " heap_free_kb, heap_min_free_kb FROM device_system_status WHERE module_id = 'croissance'"
    ) == [("a8bbcc", "192.168.1.100", "AA:BB:CC:DD:EE:FF", 1234567890, -45, 500, 1500, 200, 320, 123, 45)]
    assert query("SELECT chip_model, chip_rev, cpu_freq_mhz, flash_kb, cores FROM device_hardware") == [
        ("ESP32", 3, 240, 4096, 2)
    ]
    assert query("SELECT sensor_type, status, value FROM sensor_status ORDER BY 1") == [
        ("co2", "ok", 450.0),
        ("dht22", "missing", None),
    ]
    assert query("SELECT sensor_type, interval_seconds, model, enabled FROM sensor_config") == [
        ("co2", 60, "MH-Z14A", True)
    ]
    assert query("SELECT status FROM device_presence") == [("online",)]


async def test_kinds_without_a_table_are_acknowledged_and_counted(journal, writer, query):
    """Other topics are for screens: the ledger counts them as ignored."""
    await journal.publish(envelope(kind="other", metadata=7), envelope(kind="other", metadata={"a": 1}))
    async with writer():
        await eventually(journal.empty, "all acknowledged")
    assert query("SELECT sum(received)::int, sum(ignored)::int FROM ledger") == [(2, 2)]


async def test_a_log_line_is_stored_once(journal, writer, query):
    """In the order of the journal. A redelivered line makes no second row."""
    lines = [envelope(kind="log", at=at, metadata={"level": "warn", "msg": f"line {at}"}) for at in range(3)]
    sequence = await journal.publish(*lines)
    async with writer():
        await eventually(journal.empty, "all acknowledged")
    stored = "SELECT level, message, to_char(time, 'SS.US'), position[2:3] FROM device_logs ORDER BY position"
    expected = [("warn", f"line {at}", f"00.00000{at}", [sequence, at]) for at in range(3)]
    assert query(stored) == expected
    await journal.deliver_again()
    async with writer():
        await eventually(journal.empty, "all acknowledged again")
    assert query(stored) == expected
    assert query("SELECT sum(inserted)::int, sum(replaced)::int FROM ledger") == [(3, 3)]


async def test_a_stop_flushes_waiting_rows(journal, writer, query):
    """SIGTERM writes and acknowledges the rows that wait for a batch to fill."""
    async with writer(flush_interval="5s"):
        await journal.publish(envelope())

        async def delivered():
            return (await journal.js.consumer_info("TELEMETRY", "writer")).num_ack_pending == 1

        await eventually(delivered, "the message held by the writer")
        assert query("SELECT value FROM measurements") == []
    assert query("SELECT value FROM measurements") == [(450.5,)]
    assert await journal.empty()


async def test_a_key_that_is_there_already_is_updated(journal, writer, query):
    """Across batches the later commit wins, and the ledger counts it as updated, not as inserted."""
    async with writer():
        await journal.publish(envelope(value=1))
        await eventually(journal.empty, "the first acknowledged")
        await journal.publish(envelope(value=2), envelope(value=3, at=1))
        await eventually(journal.empty, "the second acknowledged")
    assert query("SELECT value FROM measurements ORDER BY time") == [(2.0,), (3.0,)]
    assert query("SELECT inserted, updated FROM ledger ORDER BY id") == [(1, 0), (1, 1)]


class LaterServer(NatsServer):
    """A server whose ack subjects have a domain and a hash of the account, as those of later versions will by
    default.
    """

    def command(self):
        command = super().command()
        with (self.folder / "nats.conf").open("a") as config:
            config.write("feature_flags { js_ack_fc_v2: true }\n")
        return command


@pytest.fixture
def later_server(tmp_path):
    """A LaterServer with the users of the stack."""
    (tmp_path / "nats").mkdir()
    server = LaterServer(tmp_path / "nats", passwords=LOGINS.nats, ingest_password=LOGINS.pipeline)
    server.start()
    yield server
    server.stop()


async def test_the_later_form_of_acknowledgements_is_allowed_and_understood(later_server, migrated, query):
    """With a writer's rights, stored messages are acknowledged and delivered only once."""
    address = f"127.0.0.1:{later_server.port}"
    operator = await nats.connect(f"nats://operator:{LOGINS.nats['operator']}@{address}")
    journal = Journal(operator)
    await topology.apply(journal.js, STREAMS)
    await journal.publish(envelope())
    [delivered] = await (await journal.js.pull_subscribe("telemetry.>", stream=topology.JOURNAL)).fetch(1)
    assert delivered.reply.split(".")[4] == topology.JOURNAL
    login = LOGINS.nats_environment("writer", address)
    async with running(settings_for(login.pop("NATS_URL"), migrated, **login)):
        await eventually(journal.empty, "acknowledged")
    consumer = await journal.js.consumer_info(topology.JOURNAL, topology.WRITER)
    assert (consumer.delivered.consumer_seq, consumer.ack_floor.stream_seq) == (1, 1)
    assert query("SELECT count(*) FROM measurements") == [(1,)]
    await operator.close()
