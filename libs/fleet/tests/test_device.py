"""A simulated module publishes the messages that a real one does."""

import json

from seve_fleet.simulate.device import SimulatedModule
from seve_schema.times import parse_time, to_micros

NOW = 1_764_500_000_000_000


def test_birth_and_last_will_are_retained_presence():
    module = SimulatedModule("serre", 1)
    assert module.birth() == ("serre/status", b"online", 1, True)
    assert module.will() == ("serre/status", b"offline", 1, True)


def test_configurations_are_retained_and_reports_are_not():
    module = SimulatedModule("serre", 1)
    assert {"serre/system/config", "serre/hardware/config", "serre/sensors/config"} == {
        message.topic for message in module.configs() if message.retain
    }
    assert {"serre/system", "serre/sensors/status"} == {
        message.topic for message in module.reports(NOW) if not message.retain
    }


def test_a_sample_carries_the_time_of_its_device_at_qos_1():
    message, time = SimulatedModule("serre", 0).sample(0, NOW)
    body = json.loads(message.payload)
    assert (time, 1, "serre/temperature") == (to_micros(parse_time(body["time"])), message.qos, message.topic)
    assert isinstance(body["value"], float)


def test_every_other_module_names_its_hardware():
    assert "serre/dht22/temperature" in SimulatedModule("serre", 1).topics
    assert "serre/temperature" in SimulatedModule("serre", 2).topics


def test_no_two_samples_of_a_series_share_a_time():
    """Even when the clock stands still."""
    module = SimulatedModule("serre", 0)
    times = [module.sample(2, NOW)[1] for _ in range(5)]
    assert times == [NOW, NOW + 1, NOW + 2, NOW + 3, NOW + 4]


def test_a_module_without_a_clock_sends_bare_numbers_at_qos_0():
    message, _ = SimulatedModule("serre", 0, clock=False).sample(1, NOW)
    assert message.qos == 0
    assert isinstance(json.loads(message.payload), float)
