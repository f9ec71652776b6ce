"""Retained messages that the broker replays are no news, and yet they tell what was said before ingest was there."""

import json

from support import clients
from support.conditions import wait_until

CONFIG = "SELECT ip FROM device_system_status WHERE module_id = 'early'"
VALUES = "SELECT sensor_type, value FROM measurements WHERE module_id = 'early' ORDER BY sensor_type"


def test_retained_messages_from_before_the_first_start_arrive_once(make_stack):
    """A configuration is applied; a retained sample is taken only where it has a time of its own."""
    stack = make_stack(without=("ingest",))
    with clients.device(stack.mqtt_url) as publish:
        publish("early/system/config", json.dumps({"ip": "10.0.0.1"}), retain=True)
        publish("early/co2", "450", retain=True)
        publish("early/light", json.dumps({"value": 812, "time": "2025-11-30T19:00:00Z"}), retain=True)
        stack.launch("ingest")
        stack.wait_ready()
        wait_until(lambda: stack.query(CONFIG) == [("10.0.0.1",)], "the configuration")
        wait_until(lambda: stack.query(VALUES) == [("light", 812)], "the sample that has a time")

        publish("early/system/config", json.dumps({"ip": "10.0.0.2"}))
        wait_until(lambda: stack.query(CONFIG) == [("10.0.0.2",)], "news, which is not retained")
        stack.restart("ingest")
        publish("early/temperature", "21")
        wait_until(lambda: ("temperature", 21) in stack.query(VALUES), "a message after the replay")
    assert stack.query(CONFIG) == [("10.0.0.2",)]
    assert stack.query(VALUES) == [("light", 812), ("temperature", 21)]
