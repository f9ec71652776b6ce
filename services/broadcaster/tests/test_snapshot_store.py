"""When the newest values are written: spread over time, or at once if there is nothing to spread or no time left."""

import asyncio
from types import SimpleNamespace

from seve_broadcaster.snapshot_store import AT_ONCE, SnapshotStore
from support.broadcasting import envelope
from support.conditions import eventually

from .offline import a_hub, say

AN_HOUR = 3600.0


class Stream:
    """A stand-in for LATEST that accepts everything."""

    def __init__(self):
        self.subjects = []

    async def publish(self, subject, *_, **__):
        self.subjects.append(subject)
        return SimpleNamespace(seq=len(self.subjects))


def a_store(modules):
    """Return a store whose broadcaster has so many modules, and the stream that it writes to."""
    hub, stream = a_hub(), Stream()
    say(hub, *(envelope(f"m{number}", 1.0) for number in range(modules)))
    return SnapshotStore(SimpleNamespace(jetstream=lambda: stream), hub, AN_HOUR, 0), stream


async def test_a_few_modules_are_written_at_once():
    """There is nothing to spread, and the checkpoint follows at once."""
    store, stream = a_store(AT_ONCE)
    async with asyncio.timeout(30):
        await store.save(asyncio.Event(), AN_HOUR)
    assert len(stream.subjects) == AT_ONCE + 1


async def test_a_stop_ends_the_spreading_and_not_the_saving():
    """The remaining documents are written at once, then the checkpoint."""
    store, stream = a_store(3 * AT_ONCE)
    stop = asyncio.Event()
    saving = asyncio.create_task(store.save(stop, AN_HOUR))
    await eventually(lambda: len(stream.subjects) == AT_ONCE, "the first ones written")
    stop.set()
    async with asyncio.timeout(30):
        await saving
    assert len(stream.subjects) == 3 * AT_ONCE + 1
