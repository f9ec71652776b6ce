"""A fleet that connects at once: 8,000 births, configurations and statuses, then samples."""

import json

from seve_broadcaster.fanout import slow_client
from seve_broadcaster.fanout.catchup import Step, advance
from seve_broadcaster.snapshot.snapshot import Bounds
from support.broadcasting import envelope

from .offline import a_client, a_hub, say, subscribe

DEVICES = 8000
TOGETHER = 256
REPORTS = {
    "presence": {"status": "online"},
    "system.config": {"ip": "10.0.0.1", "mac": "00:00:00:00:00:00", "uptimeStart": 1, "memory": {"heapTotalKb": 300}},
    "system.status": {"rssi": -45, "memory": {"heapFreeKb": 123, "heapMinFreeKb": 45}},
}


def in_batches(made):
    for start in range(0, len(made), TOGETHER):
        yield made[start : start + TOGETHER]


def storm(hub):
    for kind, body in REPORTS.items():
        for batch in in_batches([envelope(f"m{number}", body, kind=kind) for number in range(DEVICES)]):
            say(hub, *batch)
    for batch in in_batches([envelope(f"m{number}", float(number)) for number in range(DEVICES)]):
        say(hub, *batch)


def test_a_storm_stays_in_bounds_and_skipped_counts_are_exact():
    """A slow client has nothing queued, and ends with the newest of each series."""
    hub = a_hub(bounds=Bounds(modules=10_000, total_bytes=64 << 20))
    slow = a_client(hub)
    subscribe(hub, slow, "*", batch=True)
    slow_client.overflow(hub, slow)
    storm(hub)
    assert list(slow.pending) == []
    assert (len(hub.latest.modules), hub.latest.refused) == (DEVICES, 0)
    assert hub.latest.size <= 64 << 20
    assert hub.buffer.size <= 1 << 20
    slow_client.relieve(hub, slow)
    assert len(slow.pending) == 2
    while advance(hub, slow, 64 << 10) is Step.MORE:
        pass
    skipped = next(frame for frame in slow.sink.frames if frame["event"] == "skipped")
    assert skipped["count"] == DEVICES * (1 + len(REPORTS))
    shown = [one for frame in slow.sink.frames if frame["event"] == "mqtt-batch" for one in frame["data"]]
    held = [json.loads(entry.data) for module in hub.latest.modules.values() for entry in module.entries()]
    assert sorted(map(repr, shown)) == sorted(map(repr, held))
    assert len(held) == DEVICES * (1 + len(REPORTS))


def test_a_storm_beyond_the_bound_of_modules_is_passed_on_and_counted():
    """Clients get every message; snapshots hold the first modules."""
    hub = a_hub(bounds=Bounds(modules=1000))
    client = a_client(hub)
    subscribe(hub, client, "*", batch=True)
    storm(hub)
    assert len(hub.latest.modules) == 1000
    assert hub.latest.refused == (DEVICES - 1000) * (1 + len(REPORTS))
    batches = [frame["data"] for frame in client.sink.frames if frame["event"] == "mqtt-batch"]
    assert sum(map(len, batches)) == DEVICES * (1 + len(REPORTS))
