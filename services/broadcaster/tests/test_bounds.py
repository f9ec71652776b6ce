"""Everything that devices can invent is bounded: modules, series, bytes, and how long they are remembered."""

import json

import pytest
from seve_broadcaster.snapshot.document import decode_module, encode_module
from seve_broadcaster.snapshot.snapshot import Bounds, LatestValues
from seve_broadcaster.stream.message import Message
from seve_schema.codec import encode
from seve_schema.position import Position
from support.broadcasting import envelope

from .offline import a_client, a_hub, say, subscribe, values

EARLY, LATE = "2025-11-30T19:00:00.000000Z", "2025-12-30T19:00:00.000000Z"


def applied(latest, sequence, *envelopes):
    latest.apply(Message.decode(Position(1, sequence), envelopes[0].kind, encode(envelopes)))


def held(latest):
    """Return every value that a snapshot would show, by module and sensor."""
    data = [json.loads(entry.data) for module in latest.modules.values() for entry in module.entries()]
    return {(one["moduleId"], one["sensorType"]): one["value"] for one in data}


def test_modules_beyond_the_bound_are_in_no_snapshot_but_still_sent():
    """They are in no snapshot; subscribers still get their messages."""
    hub = a_hub(bounds=Bounds(modules=2))
    client = a_client(hub)
    subscribe(hub, client, "*")
    say(hub, *(envelope(f"m{number}", float(number)) for number in range(5)))
    say(hub, envelope("m0", 5.0), envelope("m4", 6.0))
    assert held(hub.latest) == {("m0", "co2"): 5.0, ("m1", "co2"): 1.0}
    assert (hub.latest.refused, values(client)) == (4, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0])


def test_the_size_of_modules_includes_their_overhead():
    """With many modules of one short value each, the overhead is what fills memory."""
    latest = LatestValues(Bounds(modules=100_000, total_bytes=1 << 20))
    for number in range(2000):
        applied(latest, number + 1, envelope(f"m{number}", 1.0))
    assert latest.size <= 1 << 20
    assert len(latest.modules) < 1000
    assert latest.refused == 2000 - len(held(latest))


def test_restoring_keeps_the_bounds_and_prefers_the_last_saved():
    """LATEST may hold more than this broadcaster is allowed: in modules, and in bytes."""
    saved = LatestValues()
    for number in range(50):
        applied(saved, number + 1, envelope(f"m{number}", float(number)))
    few = LatestValues(Bounds(modules=3))
    small = LatestValues(Bounds(total_bytes=10_000))
    for latest in (few, small):
        for name, module in saved.modules.items():
            latest.restore(name, decode_module(encode_module(module)))
        assert latest.size == sum(module.size for module in latest.modules.values())
        assert latest.refused == 50 - len(latest.modules)
    assert list(few.modules) == ["m47", "m48", "m49"]
    assert 1 < len(small.modules) < 10
    assert small.size <= 10_000


def test_a_module_survives_saving_and_restoring():
    """With its values, size and times. A newer one in memory is kept."""
    latest = LatestValues()
    applied(
        latest, 1, envelope("a", 1.0), envelope("a", 2.0, sensor="t"), envelope("a", 3.0, retained=True, sensor="x")
    )
    module = latest.modules["a"]
    again = decode_module(encode_module(module))
    assert (again.entries(), again.size, again.heard) == (module.entries(), module.size, module.heard)
    assert (again.position, again.received) == (module.position, module.received)
    applied(latest, 2, envelope("a", 9.0))
    latest.restore("a", again)
    assert held(latest)["a", "co2"] == 9.0


@pytest.mark.parametrize(
    "bounds",
    [Bounds(module_bytes=2500), Bounds(total_bytes=2500)],
    ids=["module", "total"],
)
def test_a_refused_value_drops_the_old_one(bounds):
    """An old value must not pass for the newest. Once a value fits again, the series is back."""
    latest = LatestValues(bounds)
    applied(latest, 1, envelope("a", 1.0))
    applied(latest, 2, envelope("a", 2.0, metadata="x" * 2000))
    assert (held(latest), latest.refused) == ({}, 1)
    applied(latest, 3, envelope("a", 3.0))
    assert held(latest) == {("a", "co2"): 3.0}
    assert latest.size == latest.modules["a"].size <= 2500


def test_series_of_a_module_are_bounded():
    """The first ones stay and are updated."""
    latest = LatestValues(Bounds(module_series=2))
    applied(latest, 1, *(envelope("a", float(n), sensor=f"s{n}") for n in range(4)))
    applied(latest, 2, envelope("a", 9.0, sensor="s0"))
    assert (held(latest), latest.refused) == ({("a", "s0"): 9.0, ("a", "s1"): 1.0}, 2)


def test_modules_without_messages_for_long_are_forgotten_and_make_room():
    """Also modules with retained messages only. Their silence is forgotten with them."""
    hub = a_hub(bounds=Bounds(modules=2))
    say(hub, envelope("old", 1.0, received_at=EARLY), envelope("retained", 1.0, received_at=EARLY, retained=True))
    hub.tell_silence("old", silent=True)
    assert hub.forget(EARLY) == []
    say(hub, envelope("retained", 1.0, received_at=LATE, retained=True))
    assert hub.forget(LATE) == ["old"]
    assert (hub.silent, hub.latest.forgotten) == (set(), 1)
    say(hub, envelope("new", 2.0, received_at=LATE))
    assert set(hub.latest.modules) == {"retained", "new"}
    assert hub.latest.size == sum(module.size for module in hub.latest.modules.values())


def test_one_module_is_forgotten_on_request():
    """Its silence is forgotten with it; an unknown module is no error."""
    hub = a_hub()
    say(hub, envelope("a", 1.0), envelope("b", 2.0))
    hub.tell_silence("a", silent=True)
    hub.drop("a")
    hub.drop("nobody")
    assert (held(hub.latest), hub.silent, hub.latest.forgotten) == ({("b", "co2"): 2.0}, set(), 1)
    assert hub.latest.size == sum(module.size for module in hub.latest.modules.values())


def test_a_snapshot_that_waits_for_its_client_holds_names_and_no_values():
    """So memory is bounded, however many clients subscribe to everything and read nothing."""
    hub = a_hub()
    say(hub, *(envelope(f"m{number}", 1.0, metadata="x" * 1000) for number in range(50)))
    client = a_client(hub)
    subscribe(hub, client, "*", budget=1)
    (waiting,) = client.pending
    assert (list(waiting.entries), len(waiting.modules)) == ([], 50)
