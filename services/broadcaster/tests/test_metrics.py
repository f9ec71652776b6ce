"""Metrics are collected in another thread while the event loop runs."""

from collections import Counter
from types import SimpleNamespace

from seve_broadcaster.fanout.subscriber import Pace
from seve_broadcaster.metrics import BroadcasterCollector

from .offline import a_hub


class Leaving:
    """A client and its connection that leave while metrics are collected."""

    def __init__(self, *holders):
        self._holders = holders

    def _leave(self):
        for holder in self._holders:
            holder.discard(self)

    @property
    def pace(self):
        self._leave()
        return Pace.LIVE

    @property
    def buffered(self):
        self._leave()
        return 1


def test_clients_may_leave_while_they_are_counted():
    """The event loop may change its sets at any moment, which must not make a scrape fail."""
    hub = a_hub()
    gateway = SimpleNamespace(hub=hub, peers=set(), refused=Counter(), ended=Counter(), failed_handshakes=Counter())
    hub.clients.update(Leaving(hub.clients) for _ in range(3))
    gateway.peers.update(Leaving(gateway.peers) for _ in range(3))
    counters = SimpleNamespace(malformed=0, consumers=0, clients=0, messages=0)
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for metric in BroadcasterCollector(gateway, counters, counters).collect()
        for sample in metric.samples
    }
    assert samples["seve_broadcaster_clients", "live"] == 3
    assert samples["seve_broadcaster_queue_bytes",] == 3
