"""A WebSocket gets the modules it asked for: their present first, then every message in order."""

import json

from support import clients
from support.conditions import wait_until


def test_a_screen_gets_only_the_modules_it_subscribed_to(stack, publish, module):
    """The others pass it by."""
    other = f"{module}-other"
    with clients.screen(stack.ws_url, module) as watched:
        for value in range(10):
            publish(f"{other}/co2", str(value))
            publish(f"{module}/co2", str(value))
        wait_until(lambda: len(watched.envelopes) >= 10, "the ten of its module")
        assert [(module, float(value)) for value in range(10)] == [
            (envelope["moduleId"], envelope["value"]) for envelope in watched.envelopes
        ]


def test_a_query_string_is_enough_to_subscribe(stack, publish, module):
    """One line, no message."""
    with clients.screen(f"{stack.ws_url}?module={module}") as watched:
        publish(f"{module}/co2", "450")
        wait_until(lambda: watched.envelopes, "the frame")
        assert watched.envelopes[0]["value"] == 450


def test_a_screen_that_comes_later_gets_the_newest_of_each_series_first(stack, publish, module):
    with clients.screen(stack.ws_url, module) as early:
        publish(f"{module}/status", "online", retain=True)
        for value in range(3):
            publish(f"{module}/co2", str(value))
        wait_until(lambda: len(early.envelopes) == 4, "all of it on a screen")
    with clients.screen(stack.ws_url, module) as late:
        newest = {envelope["topic"]: envelope for envelope in late.snapshot}
        assert {f"{module}/status", f"{module}/co2"} == set(newest)
        assert newest[f"{module}/co2"]["value"] == 2
        assert late.envelopes == []


def test_a_screen_that_returns_with_its_seq_misses_nothing_and_gets_nothing_twice(stack, publish, module):
    with clients.screen(stack.ws_url, module) as first:
        publish(f"{module}/co2", "0")
        wait_until(lambda: first.envelopes, "a message to resume after")
        seq = next(frame["seq"] for frame in first.frames if frame["event"] == "mqtt-message")
    for value in range(1, 20):
        publish(f"{module}/co2", str(value))
    with clients.screen(stack.ws_url, module, since=seq) as second:
        wait_until(lambda: len(second.envelopes) >= 19, "what was missed")
        assert list(range(1, 20)) == [envelope["value"] for envelope in second.envelopes]
        assert second.snapshot == []


def test_the_screen_gets_what_the_journal_holds(stack, publish, watched, module):
    """An envelope with every field of the contract, its delivery key among them."""
    publish(f"{module}/co2", json.dumps({"value": 450.5, "time": "2025-11-30T19:00:00Z"}))
    wait_until(lambda: watched.envelopes, "the frame")
    (envelope,) = watched.envelopes
    assert {
        "topic": f"{module}/co2",
        "moduleId": module,
        "kind": "measurement",
        "sensorType": "co2",
        "hardwareId": None,
        "value": 450.5,
        "time": "2025-11-30T19:00:00.000000Z",
        "clock": "device",
        "metadata": None,
        "retained": False,
    } == {key: value for key, value in envelope.items() if key not in ("receivedAt", "deliveryKey")}
    assert envelope["deliveryKey"].endswith(":0")
