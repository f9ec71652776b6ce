"""Clearing the messages that a broker retains for a module, with both brokers of the stack."""

import pytest
from seve_embedded.shared import retained
from seve_embedded.shared.identities import Rules
from seve_schema.simulated import simulated_name
from support.clients import device
from support.embedded import NatsServer
from support.mosquitto import Mosquitto, program

SIMULATED = [simulated_name("0a1b2c", number) for number in range(50)]


@pytest.fixture(params=["nats", "mosquitto"])
def broker(request, tmp_path):
    """A broker that retains states of several modules."""
    if request.param == "mosquitto" and program() is None:
        pytest.skip("Mosquitto is not installed here")
    (tmp_path / "broker").mkdir()
    server = (NatsServer if request.param == "nats" else Mosquitto)(tmp_path / "broker")
    server.start()
    with device(server.mqtt_url) as publish:
        publish("croissance/status", "online", retain=True)
        publish("croissance/dht22/temperature", "20.5", retain=True)
        publish("croissance", "no topic of the routes", retain=True)
        publish("tele/croissance/LWT", "Online", retain=True)
        publish("serre.nord/status", "online", retain=True)
        for module in SIMULATED:
            publish(f"{module}/status", "offline", retain=True)
    yield {"MQTT_BROKER": server.mqtt_url}
    server.stop()


def test_only_the_retained_messages_of_the_module_are_cleared(broker, tmp_path):
    """Those on topics that the routes read as its own."""
    filters = Rules.of({"ROUTE_PRESETS": "tasmota"}, tmp_path).rights("croissance").publish
    assert retained.clear(broker, filters, None, None) == 4
    assert retained.clear(broker, filters, None, None) == 0
    others = [f"{module}/status" for module in (*SIMULATED, "serre.nord")]
    assert retained.retained(broker, ["#"], None) == sorted(others)


def test_retained_messages_of_simulated_modules_are_cleared(broker):
    """However many there were."""
    assert retained.clear(broker, [retained.SIMULATED], None, None) == len(SIMULATED)
    left = [
        "croissance",
        "croissance/dht22/temperature",
        "croissance/status",
        "serre.nord/status",
        "tele/croissance/LWT",
    ]
    assert retained.retained(broker, ["#"], None) == left
