"""Faults around ingest lose no message and store none twice. Every payload has its number."""

import os
import signal
import threading
import time

import pytest
from seve_schema.times import format_time
from support.conditions import wait_until
from support.embedded import NatsServer
from support.ingest import drain, make_room, set_up
from support.mqtt_load import Load

OUTAGE = float(os.environ.get("SEVE_OUTAGE", "8"))
"""Seconds for which NATS is down; set 30 for a longer outage."""


class Flow:
    """A steady load from a thread: `rate` numbered samples per second, with or without a time of their own, or all of
    them equal.
    """

    def __init__(self, broker, rate, *, timed=True, equal=False):
        self._load = Load(broker.mqtt_port, "flow", window=100_000)
        self._rate = rate
        self._timed = timed
        self._equal = equal
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.sent = 0

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join(60)
        self._load.finish()

    def _run(self):
        start = time.monotonic()
        while not self._stop.is_set():
            due = int((time.monotonic() - start) * self._rate)
            if due > self.sent:
                self._load.publish([(f"m{n % 20}/co2", self._payload(n)) for n in range(self.sent, due)])
                self.sent = due
            self._stop.wait(0.01)

    def _payload(self, number):
        if self._equal:
            return b"21.5"
        if not self._timed:
            return b'{"value": %d}' % number
        return b'{"value": %d, "time": "%b"}' % (number, format_time(time.time_ns() // 1000).encode())


def rows(envelopes):
    """Return the values by the key of their rows. A sample that is stored twice has two keys."""
    return sorted(value for _, value in {((each.module_id, each.time), each.value) for each in envelopes})


@pytest.mark.parametrize("timed", [True, False], ids=["device-time", "no-time"])
async def test_ten_kills_under_load_lose_nothing(broker, streams, ingest, timed):
    """No message is lost and none is stored twice, with and without a device's time."""
    ingest.start()
    with Flow(broker, 2000, timed=timed) as flow:
        for round_ in range(10):
            wait_until(lambda: ingest.count("outcomes_total", outcome="published") > 300, "some published", 60)
            ingest.kill()
            ingest.start(wait=round_ == 9)
    found = await drain(streams, at_least=flow.sent)
    wait_until(lambda: ingest.count("unacknowledged_messages") == 0, "all acknowledged")
    assert list(map(float, range(flow.sent))) == rows(found + await drain(streams))


async def test_nats_down_under_load_loses_nothing(mosquitto, streams, run_ingest):
    """Memory stays flat; the broker keeps messages, and is pinged although nothing is read; afterwards every message is
    stored once.
    """
    ingest = run_ingest(mosquitto, streams, MAX_INFLIGHT="1000", MQTT_KEEPALIVE="5")
    ingest.start()
    with Flow(mosquitto, 2000) as flow:
        wait_until(lambda: ingest.count("outcomes_total", outcome="published") > 2000, "flowing")
        before = ingest.memory()
        streams.stop()
        wait_until(lambda: not ingest.ready(), "not ready")
        time.sleep(OUTAGE)  # the outage has to last for so long
        during = ingest.memory()
        assert ingest.count("reading_paused") == 1
        streams.start()
    assert during - before < 48 << 20
    found = await drain(streams, at_least=flow.sent)
    assert list(map(float, range(flow.sent))) == rows(found)
    assert ingest.count("mqtt_connections_total") == 1
    assert ingest.stop() == 0


async def test_a_frozen_ingest_stores_no_message_twice(broker, streams, ingest):
    """A process that is frozen for longer than the broker waits for acknowledgements (NATS: 3 s) finds second copies
    behind messages that it has not read yet, and stores none twice.
    """
    ingest.start()
    with Flow(broker, 2000) as flow:
        wait_until(lambda: ingest.count("outcomes_total", outcome="published") > 2000, "flowing")
        ingest.process.send_signal(signal.SIGSTOP)
        frozen = flow.sent
        wait_until(lambda: flow.sent > frozen + 7 * 2000, "seven seconds of load")
        ingest.process.send_signal(signal.SIGCONT)
    found = await drain(streams, at_least=flow.sent)
    wait_until(lambda: ingest.count("unacknowledged_messages") == 0, "all acknowledged")
    assert list(map(float, range(flow.sent))) == rows(found + await drain(streams))
    assert (ingest.count("outcomes_total", outcome="duplicate") > 0) == (broker is streams)


@pytest.fixture
async def journal(tmp_path):
    """A NATS server for the journal only. Another one is the broker."""
    (tmp_path / "journal").mkdir()
    server = NatsServer(tmp_path / "journal")
    server.start()
    await set_up(server)
    yield server
    server.stop()


@pytest.mark.parametrize("equal", [False, True], ids=["different", "equal"])
async def test_thousands_of_redeliveries_behind_newer_messages_are_stored_once(nats_server, journal, run_ingest, equal):
    """The journal pauses for as long as NATS' listener waits for acknowledgements (3 s), so that acknowledgements cross
    redeliveries: messages come again behind newer ones, and with new identifiers if the acknowledgement came first. The
    samples have no time, so that a second copy would be a second row.
    """
    ingest = run_ingest(nats_server, journal)
    ingest.start()
    with Flow(nats_server, 1500, timed=False, equal=equal) as flow:
        for pause in (3.0, 3.2, 4.5):
            wait_until(lambda: ingest.count("unacknowledged_messages") < 500, "caught up", 60)
            journal.process.send_signal(signal.SIGSTOP)
            time.sleep(pause)  # relative to the listener's ack wait
            journal.process.send_signal(signal.SIGCONT)
    found = await drain(journal, at_least=flow.sent)
    wait_until(lambda: ingest.count("unacknowledged_messages") == 0, "all acknowledged")
    assert len(found + await drain(journal)) == flow.sent
    assert ingest.count("outcomes_total", outcome="duplicate") > 1000
    if not equal:
        assert list(map(float, range(flow.sent))) == rows(found)


@pytest.mark.parametrize("equal", [False, True], ids=["different", "equal"])
async def test_unacknowledged_messages_get_new_identifiers_after_a_restart_of_nats(
    nats_server, journal, run_ingest, equal
):
    """It keeps the session and forgets the identifiers. The samples have no time: a second copy would be a second
    row.
    """
    ingest = run_ingest(nats_server, journal)
    ingest.start()
    journal.process.send_signal(signal.SIGSTOP)
    with Flow(nats_server, 1000, timed=False, equal=equal) as flow:
        wait_until(lambda: ingest.count("unacknowledged_messages") > 1000, "messages waiting")
    nats_server.kill()
    nats_server.start()
    journal.process.send_signal(signal.SIGCONT)
    wait_until(lambda: ingest.count("mqtt_connections_total") == 2, "connected again")
    found = await drain(journal, at_least=flow.sent)
    wait_until(lambda: ingest.count("outcomes_total", outcome="duplicate") >= 1000, "sent again", 60)
    wait_until(lambda: ingest.count("unacknowledged_messages") == 0, "all acknowledged")
    assert len(found + await drain(journal)) == flow.sent


async def test_a_full_journal_stops_reading_until_there_is_room(mosquitto, nats_server, run_ingest):
    """Ingest is not ready and stops acknowledging; it goes on, in order, when there is room."""
    await set_up(nats_server, journal_max_bytes=1_000_000, history_max_bytes=0)
    ingest = run_ingest(mosquitto, nats_server, MAX_INFLIGHT="1000")
    ingest.start()
    with Flow(mosquitto, 3000) as flow:
        wait_until(lambda: not ingest.ready(), "not ready")
        wait_until(lambda: ingest.count("reading_paused") == 1, "reading paused")
        assert "maximum bytes exceeded" in ingest.ask("/health/ready")
        wait_until(lambda: ingest.count("resends_total", reason="refused") > 1, "tried again, and counted")
        before = ingest.memory()
        wait_until(lambda: flow.sent > 15_000, "more load")
        assert ingest.memory() - before < 16 << 20
    assert ingest.count("unacknowledged_messages") < 2000
    found = []
    while len(found) < flow.sent:
        found += await drain(nats_server)
        await make_room(nats_server)
    assert list(map(float, range(flow.sent))) == rows(found)
    wait_until(ingest.ready, "ready again")
    for module in range(20):
        values = [each.value for each in found if each.module_id == f"m{module}"]
        assert sorted(values) == values
    ingest.stop()


async def test_a_broker_down_under_load_loses_nothing(mosquitto, streams, run_ingest):
    """Ingest reconnects and the session continues; messages in flight are stored once."""
    ingest = run_ingest(mosquitto, streams)
    ingest.start()
    with Flow(mosquitto, 1000) as flow:
        wait_until(lambda: flow.sent > 1000, "flowing")
    mosquitto.stop()
    wait_until(lambda: not ingest.ready(), "not ready")
    mosquitto.start()
    ingest.wait_ready()
    assert list(map(float, range(flow.sent))) == rows(await drain(streams, at_least=flow.sent))
    ingest.stop()


async def test_a_hostile_device_affects_no_other_device(broker, streams, ingest):
    """Long topics, long payloads, a flood of dead letters, noise: each has its outcome, and other samples are
    stored.
    """
    ingest.start()
    hostile = Load(broker.mqtt_port, "hostile")
    noise = [os.urandom(200) for _ in range(50)]
    with Flow(broker, 500) as flow:
        hostile.publish(("h/" + "x" * 5000, b"1") for _ in range(50))
        hostile.publish(("h/big", b"x" * 1_000_000) for _ in range(5))
        hostile.publish(("h/system", b"no json %d" % i) for i in range(20_000))  # NATS may confuse equal ones: 0113
        hostile.publish((f"h/{i}", body) for i, body in enumerate(noise))
        hostile.finish()
    wait_until(lambda: ingest.count("unacknowledged_messages") == 0, "all acknowledged")
    found = [each for each in await drain(streams, at_least=flow.sent) if each.module_id != "h"]
    assert list(map(float, range(flow.sent))) == rows(found)
    assert ingest.count("outcomes_total", outcome="deadletter", reason="too_large") == 5
    assert ingest.count("outcomes_total", outcome="deadletter", reason="bad_topic") == 50
    kept = ingest.count("outcomes_total", outcome="deadletter", reason="malformed")
    assert 15 <= kept < 1000  # 20 per second, including the five above
    assert 20_000 <= kept + ingest.count("outcomes_total", outcome="suppressed", reason="malformed") <= 20_050
    assert ingest.count("outcomes_total") == ingest.count("received_messages_total")
    assert ingest.count("mqtt_connections_total") == 1


async def test_a_stop_while_nats_is_away_exits_cleanly(mosquitto, streams, run_ingest):
    """After the grace it logs how many messages it leaves to the broker, which sends them again after the next
    start.
    """
    ingest = run_ingest(mosquitto, streams, SHUTDOWN_GRACE="2s")
    ingest.start()
    streams.stop()
    wait_until(lambda: not ingest.ready(), "not ready")
    with Flow(mosquitto, 500) as flow:
        wait_until(lambda: ingest.count("unacknowledged_messages") > 100, "messages waiting")
    assert ingest.stop() == 0
    assert "the broker keeps them" in ingest.log.read_text()
    streams.start()
    ingest.start()
    assert list(map(float, range(flow.sent))) == rows(await drain(streams, at_least=flow.sent))
