"""Flushes while the journal is recreated; stand-ins record the order of the steps."""

import pytest
from seve_schema.codec import encode
from seve_writer import flush_loop
from seve_writer.decode import JournalMessage
from seve_writer.flush_loop import FlushLoop
from seve_writer.flush_rule import Waiting

from .conftest import BASE, envelope

OLD, NEW = BASE, BASE + 60_000_000


class Recorded:
    """The monitor, the batch writer and the consumer of one flush. The journal is recreated in the step `recreated`."""

    def __init__(self, recreated=None):
        self.journal = self.present = OLD
        self.recreations_possible = None
        self.recreations = 0
        self.steps = []
        self.answers = []
        self._recreated = recreated

    def _step(self, name):
        self.steps.append(name)
        if self._recreated == name:
            self.present = NEW

    async def created_at(self):
        self._step("ask")
        return self.answers.pop(0) if self.answers else self.present

    async def write(self, *_):
        self._step("write")
        return set()

    def stop_acknowledging(self):
        self._step("stop")

    def acknowledge(self, _):
        self._step("acknowledge")
        self.done()

    def release(self, _):
        self._step("release")
        self.done()

    def done(self):
        """Called after the last step of a flush."""


async def flushed(recorded, stored_at=OLD, recreations=0, *, stopping=True):
    loop = FlushLoop(Waiting(1, 5.0, 10), recorded, recorded)
    data = b"[" + encode(envelope()) + b"]"
    loop.arrived(JournalMessage("telemetry.0a1b2c3d.measurement", data, "", 1, 1, stored_at * 1000, recreations))
    if stopping:
        loop.drain()
    else:
        recorded.done = loop.drain
    await loop.run(recorded)
    return recorded.steps


async def test_the_journal_is_verified_before_writing_and_before_acknowledging():
    """Unless it cannot have been recreated meanwhile."""
    assert await flushed(Recorded()) == ["ask", "write", "ask", "acknowledge"]


async def test_nothing_is_acknowledged_to_a_journal_recreated_during_a_write():
    """The held sequences name other messages of the new journal: acknowledging stops before any is acknowledged."""
    assert await flushed(Recorded("write")) == ["ask", "write", "ask", "stop", "acknowledge"]


async def test_messages_of_a_new_journal_are_left_to_the_next_writer():
    """The ledger would count them for the old journal. Earlier messages are stored, and nothing is acknowledged."""
    recorded = Recorded()
    recorded.present = NEW
    assert await flushed(recorded, stored_at=NEW) == ["ask", "stop"]
    recorded = Recorded()
    recorded.present = NEW
    assert await flushed(recorded) == ["ask", "stop", "write", "ask", "stop", "acknowledge"]


@pytest.mark.parametrize(
    ("recreations", "stopping", "steps"),
    [
        (0, True, ["ask", "write", "ask", "release"]),
        (1, False, ["ask", "ask", "ask", "stop"]),
        (1, True, ["ask"]),
    ],
    ids=["received before", "received since", "received since, and stopped"],
)
async def test_while_nats_does_not_answer_only_messages_certainly_of_the_old_journal_are_written(
    monkeypatch, recreations, stopping, steps
):
    """They are not acknowledged: the acks would be buffered and reach the new journal. Messages that came after a
    possible recreation wait for the answer: the ledger would count them for the old journal.
    """
    monkeypatch.setattr(flush_loop, "ASK_EVERY", 0.001)
    recorded = Recorded()
    recorded.present = NEW
    recorded.answers = [None, None]
    if not stopping:
        recorded.stop_acknowledging = lambda: (recorded.steps.append("stop"), recorded.done())
    assert await flushed(recorded, NEW, recreations, stopping=stopping) == steps
