"""A stop lets the workers drain; a failure ends the service with an error."""

import asyncio

import pytest
from seve_runtime.errors import ShutdownTimeout, Stopped
from seve_runtime.lifecycle import supervise, unless


async def test_workers_finish_their_step_on_stop():
    """Each worker drains itself; `supervise` waits for it."""
    stop, drained = asyncio.Event(), []

    async def worker(stop):
        await stop.wait()
        await asyncio.sleep(0)
        drained.append(True)

    asyncio.get_running_loop().call_soon(stop.set)
    await supervise(stop, worker, worker, grace=5)
    assert drained == [True, True]


async def test_a_failing_worker_stops_the_others_and_is_raised():
    """The others drain, and the process ends with an error: a service never runs without one of its workers."""
    stop, drained = asyncio.Event(), []

    async def failing(stop):
        raise RuntimeError("boom")

    async def worker(stop):
        await stop.wait()
        drained.append(True)

    with pytest.raises(ExceptionGroup) as raised:
        await supervise(stop, failing, worker, grace=5)
    assert str(raised.value.exceptions[0]) == "boom"
    assert drained == [True]


async def test_a_worker_that_does_not_drain_in_time_is_cancelled_and_named():
    """The error names every worker that was cancelled."""
    stop = asyncio.Event()
    stop.set()

    async def stuck(stop):
        await asyncio.Event().wait()

    with pytest.raises(ShutdownTimeout, match="stuck"):
        await supervise(stop, stuck, grace=0.01)


async def test_waiting_for_a_dependency_ends_with_the_stop():
    """A service that waits for its broker stops as soon as it is told to."""
    stop = asyncio.Event()
    asyncio.get_running_loop().call_soon(stop.set)
    with pytest.raises(Stopped):
        await unless(stop, asyncio.Event().wait())
