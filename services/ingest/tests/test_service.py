"""The service on real brokers and a real NATS server: messages of devices reach the journal and are counted once."""

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
from support.conditions import wait_until
from support.ingest import drain
from support.mqtt_load import Load, send

SEED = [
    ("croissance/system", b'{"rssi": -45, "memory": {"heapFreeKb": 123, "heapMinFreeKb": 45}}', "system.status"),
    ("croissance/system/config", b'{"ip": "192.168.1.100", "flash": {"usedKb": 500}}', "system.config"),
    ("croissance/hardware/config", b'{"chip": {"model": "ESP32", "rev": 3}}', "hardware.config"),
    ("croissance/sensors/status", b'{"co2": {"status": "ok", "value": 450}}', "sensors.status"),
    ("croissance/sensors/config", b'{"co2": {"interval": 60, "enabled": true}}', "sensors.config"),
    ("croissance/status", b"online", "presence"),
    ("croissance/logs", b'{"level": "info", "msg": "up"}', "log"),
    ("croissance/other/and/more", b"words", "other"),
    ("croissance/co2", b'{"value": 450.5}', "measurement"),
    ("croissance/dht22/temperature", b"21.5", "measurement"),
]


@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_every_kind_reaches_the_journal(broker, streams, ingest, qos):
    """With every quality of service; messages of QoS 0 have no delivery key."""
    ingest.start()
    send(broker, *SEED, qos=qos)
    wait_until(lambda: ingest.count("outcomes_total", outcome="published") == len(SEED), "all published")
    found = await drain(streams)
    assert sorted((topic, kind) for topic, _, kind in SEED) == sorted((each.topic, each.kind) for each in found)
    assert {qos > 0} == {each.delivery_key is not None for each in found}


async def test_every_message_ends_in_one_outcome(broker, streams, ingest):
    """Published, dead-lettered or ignored: the counts add up to what was received."""
    ingest.start()
    send(broker, ("m/co2", b"1"), ("m/co2", b"{"), ("alone", b"1"), ("m/x", b""), ("m/system", b"no"))
    wait_until(lambda: ingest.count("outcomes_total", outcome="deadletter") == 3, "all counted")
    counts = {
        outcome: ingest.count("outcomes_total", **labels)
        for outcome, labels in {
            "published": {"outcome": "published"},
            "malformed": {"outcome": "deadletter", "reason": "malformed"},
            "bad_topic": {"outcome": "deadletter", "reason": "bad_topic"},
            "cleared": {"outcome": "ignored", "reason": "cleared"},
        }.items()
    }
    assert counts == {"published": 1, "malformed": 2, "bad_topic": 1, "cleared": 1}
    assert ingest.count("outcomes_total") == ingest.count("received_messages_total")
    assert ingest.count("unacknowledged_messages") == 0


async def test_order_holds_within_a_module_and_kind(broker, streams, ingest):
    """However the messages were grouped, they are in the journal in the order they arrived."""
    ingest.start()
    load = Load(broker.mqtt_port, "load")
    load.publish((f"m{i % 3}/co2", str(i).encode()) for i in range(6000))
    load.finish()
    wait_until(lambda: ingest.count("outcomes_total", outcome="published") == 6000, "all published")
    by_module = {}
    for envelope in await drain(streams):
        by_module.setdefault(envelope.module_id, []).append(envelope.value)
    assert {f"m{i}": [float(n) for n in range(i, 6000, 3)] for i in range(3)} == by_module
    assert ingest.count("publishes_total") < 6000


async def test_messages_published_while_ingest_is_away_are_not_lost(broker, streams, ingest):
    """The broker keeps the session over a clean stop."""
    ingest.start()
    assert ingest.stop() == 0
    send(broker, *SEED)
    ingest.start()
    wait_until(lambda: ingest.count("outcomes_total", outcome="published") == len(SEED), "all published")
    assert len(SEED) == len(await drain(streams))


async def test_a_stop_under_load_leaves_no_message_unacknowledged(broker, streams, ingest):
    """SIGTERM: messages that ingest has read are stored and acknowledged before the connection closes; the broker keeps
    the others.
    """
    ingest.start()
    load = Load(broker.mqtt_port, "load")
    load.publish((f"m{i % 50}/co2", str(i).encode()) for i in range(20_000))
    assert ingest.stop() == 0
    load.finish()
    assert "unacknowledged" not in ingest.log.read_text()
    ingest.start()
    found = await drain(streams, at_least=20_000)
    assert sorted(map(float, range(20_000))) == sorted(each.value for each in found)


async def test_mqtt_5_messages_reach_the_journal(mosquitto, streams, run_ingest):
    """Messages reach the journal with properties in every packet, and the session does not expire."""
    ingest = run_ingest(mosquitto, streams, MQTT_VERSION="5")
    ingest.start()
    assert ingest.stop() == 0
    send(mosquitto, *SEED)
    ingest.start()
    wait_until(lambda: ingest.count("outcomes_total", outcome="published") == len(SEED), "all published")
    ingest.stop()
    assert len(SEED) == len(await drain(streams))


async def test_messages_dropped_by_the_broker_are_counted(mosquitto, streams, run_ingest):
    """`$SYS/broker/publish/messages/dropped` becomes a gauge and never an envelope."""
    ingest = run_ingest(mosquitto, streams)
    ingest.start()
    wait_until(lambda: ingest.count("outcomes_total", outcome="ignored", reason="sys") > 0, "$SYS read")
    ingest.stop()
    assert await drain(streams) == []


async def test_a_message_queued_at_qos_2_arrives_once(broker, streams, ingest):
    """Ingest asks for QoS 1, but a session may hold messages of QoS 2 from before."""
    older = Client(CallbackAPIVersion.VERSION2, client_id="seve-ingest", clean_session=False)
    subscribed = []
    older.on_subscribe = lambda *_: subscribed.append(True)
    older.connect("127.0.0.1", broker.mqtt_port)
    older.subscribe("#", 2)
    wait_until(lambda: older.loop(0.1) == 0 and subscribed, "subscribed")
    older.disconnect()
    older.loop(0.1)
    send(broker, *SEED, qos=2)
    ingest.start()
    found = await drain(streams, at_least=len(SEED))
    wait_until(lambda: ingest.count("unacknowledged_messages") == 0, "all acknowledged")
    ingest.stop()
    ingest.start()
    found += await drain(streams)
    assert sorted((topic, kind) for topic, _, kind in SEED) == sorted((each.topic, each.kind) for each in found)


async def test_a_session_that_a_stranger_erased_is_counted(broker, streams, run_ingest):
    """A client that connects with ingest's client id and a clean session erases the waiting messages."""
    ingest = run_ingest(broker, streams)
    ingest.start()
    stranger = Load(broker.mqtt_port, "seve-ingest")
    stranger.leave()
    wait_until(lambda: ingest.count("mqtt_sessions_lost_total") > 0, "the loss is counted")
