"""A disk of the crash matrix fails at every call when that is asked for, keeps what was written or what was synced, and
works again; and what NATS leaves on a disk that loses its power.
"""

import os
from types import SimpleNamespace

import nats
import pytest
from faults import disks
from seve_embedded.servers.nats import sync_definitions
from support.embedded import NatsServer


@pytest.fixture
def disk(tmp_path):
    """The folder of NATS, on a disk of its own, and the function that mounts it again."""
    if why := disks.obstacle():
        pytest.skip(f"no disk that can fail: {why}")
    parts = {name: SimpleNamespace(folder=tmp_path / name) for name in disks.SERVERS}
    for part in parts.values():
        part.folder.mkdir()
    stack = SimpleNamespace(folder=tmp_path, part=parts.__getitem__)
    with disks.failing(stack):
        yield tmp_path / "nats", lambda: disks.mend(stack, "nats")


def test_a_failing_disk_refuses_reads_and_writes_until_it_is_mounted_again(disk):
    folder, mend = disk
    file, other = folder / "file", folder.parent / "postgres" / "file"
    file.write_text("before")
    disks.fail(folder)
    for act in (file.read_text, lambda: file.write_text("after")):
        with pytest.raises(OSError, match="Input/output error"):
            act()
    other.write_text("another disk")
    mend()
    assert file.read_text() == "before"


def test_a_disk_without_power_forgets_what_was_not_synced(disk):
    folder, mend = disk
    with (folder / "synced").open("w") as file:
        file.write("kept")
        file.flush()
        os.fsync(file.fileno())
    (folder / "written").write_text("gone")
    disks.fail(folder, disks.DROPPED)
    mend()
    assert (folder / "synced").read_text() == "kept"
    assert not (folder / "written").exists()


@pytest.fixture
def nats_server(disk):
    """NATS on that disk, and the function that takes the power and gives it again; `start` it with options."""
    folder, mend = disk
    server = NatsServer(folder)

    def power_loss():
        disks.fail(folder, disks.DROPPED)
        server.kill()
        mend()
        server.start()

    yield server, power_loss
    server.stop()


async def published(server, count):
    """Make a stream and publish; each message is acknowledged when this returns."""
    async with await nats.connect(server.url) as client:
        await client.jetstream().add_stream(name="T", subjects=["t"])
        for _ in range(count):
            await client.jetstream().publish("t", b"x" * 200)


async def held(server):
    async with await nats.connect(server.url) as client:
        return (await client.jetstream().stream_info("T")).state.messages


async def test_with_a_sync_before_each_acknowledgement_every_acknowledged_message_is_there(nats_server):
    server, power_loss = nats_server
    server.options["sync_interval"] = "always"
    server.start()
    await published(server, 500)
    power_loss()
    assert await held(server) == 500


async def test_a_stream_whose_definition_is_synced_is_there(nats_server):
    """NATS that syncs now and then leaves the definition to the system for half a minute."""
    server, power_loss = nats_server
    server.start()
    await published(server, 1)
    sync_definitions(server.folder / "jetstream")
    power_loss()
    assert await held(server) <= 1
