"""Only stored messages beyond HISTORY_MAX_BYTES are purged from the journal."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.js.errors import APIError
from seve_runtime.nats import topology
from seve_writer.journal.monitor import Monitor
from seve_writer.journal.purge import purge_before
from support.conditions import eventually

from .conftest import envelope

MIB = 1 << 20
BIG = b"[" + b"0," * 40_000 + b"0]"
sizes = st.integers(1, 1 << 40)


async def fill(journal):
    """Publish until the journal refuses."""
    while True:
        await journal.js.publish("telemetry.0a1b2c3d.other", BIG)


def test_nothing_is_purged_while_everything_fits():
    assert purge_before(first=1, messages=100, size=MIB, ack_floor=100, history=MIB) is None


def test_the_excess_over_history_is_purged_and_a_sixteenth_more():
    """By the mean size of a message: of 32 in 2 MiB, 16 are too many, and a sixteenth more is purged."""
    assert purge_before(first=1, messages=32, size=2 * MIB, ack_floor=32, history=MIB) == 1 + 17


def test_nothing_above_the_ack_floor_is_purged():
    """Whatever the size: a journal full of unstored messages refuses."""
    assert purge_before(first=11, messages=100, size=100 * MIB, ack_floor=14, history=MIB) == 15
    assert purge_before(first=11, messages=100, size=100 * MIB, ack_floor=10, history=MIB) is None
    assert purge_before(first=11, messages=100, size=100 * MIB, ack_floor=3, history=MIB) is None


@given(st.integers(1, 10**12), st.integers(0, 10**9), sizes, st.integers(0, 10**12), sizes)
def test_the_floor_bounds_every_purge(first, messages, size, ack_floor, history):
    before = purge_before(first=first, messages=messages, size=size, ack_floor=ack_floor, history=history)
    assert before is None or first < before <= ack_floor + 1


async def test_a_full_journal_takes_messages_again_once_they_are_stored(journal, writer):
    """It refuses while nothing is stored; the writers' purge makes room again, and every message is delivered."""
    small = topology.TopologySettings(ack_wait=6.0, journal_max_bytes=MIB // 2, history_max_bytes=MIB // 2)
    await topology.apply(journal.js, small)
    with pytest.raises(APIError, match="maximum bytes exceeded"):
        await fill(journal)
    sent = await journal.waiting()
    async with writer(history_max_bytes=f"{MIB // 2}B"):
        await eventually(journal.empty, "every message acknowledged")

        async def accepted():
            try:
                await journal.js.publish("telemetry.0a1b2c3d.other", BIG)
            except APIError:
                return False
            return True

        await eventually(accepted, "room again")
    assert (await journal.js.stream_info("TELEMETRY")).state.last_seq == sent + 1


async def test_only_stored_messages_are_purged_even_if_history_keeps_none(journal):
    """Half are acknowledged and HISTORY_MAX_BYTES keeps none of them; the other half stays whole."""
    for _ in range(20):
        await journal.publish(envelope(at=1))
    for message in await (await journal.js.pull_subscribe_bind("writer", "TELEMETRY")).fetch(10):
        await message.ack_sync()
    monitor = Monitor(journal.client, 1)
    async with asyncio.timeout(10):
        await monitor.look()
    state = (await journal.js.stream_info("TELEMETRY")).state
    assert (state.first_seq, state.last_seq, state.messages) == (11, 20, 10)
