"""The broadcaster's metrics. The counts are plain integers in the objects that count, so that the hot path spends
nothing on Prometheus. Names, units, and the sums that must agree between neighbours: docs/metrics.md.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from seve_broadcaster.fanout.subscriber import Pace
from seve_broadcaster.feed import Feed
from seve_broadcaster.websocket.journal_replay import JournalReplay
from seve_broadcaster.websocket.server import Gateway

PREFIX = "seve_broadcaster"
BOUNDS = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0)
"""Upper bounds of the buckets of the age histogram, seconds."""


class BroadcasterCollector(Collector):
    """Collects the counts of a running broadcaster."""

    def __init__(self, gateway: Gateway, feed: Feed, replay: JournalReplay) -> None:
        self._gateway = gateway
        self._feed = feed
        self._replay = replay

    def collect(self) -> Iterable[Metric]:
        """Yield the current value of every metric."""
        yield from self._counters()
        yield from self._gauges()
        yield _by_reason("refused_requests", "requests and messages of clients refused", self._gateway.refused)
        yield _by_reason("disconnected_clients", "clients disconnected by the server", self._gateway.ended)
        yield _by_reason("failed_tls_handshakes", "TLS handshakes that failed", self._gateway.failed_handshakes)

    def _counters(self) -> Iterable[Metric]:
        counts, hub = self._gateway.hub.counts, self._gateway.hub
        yield _counter("received_messages", "journal messages received", counts.messages)
        yield _counter("received_envelopes", "envelopes of the received journal messages", counts.envelopes)
        yield _counter("malformed_messages", "unreadable journal messages, which no client gets", self._feed.malformed)
        yield _counter("sent_frames", "frames written to clients", counts.frames)
        yield _counter("sent_bytes", "bytes written to clients", counts.sent_bytes)
        yield _counter(
            "skipped_envelopes",
            "envelopes that slow clients missed, once per client, as `skipped` told them",
            counts.skipped,
        )
        yield _counter("gaps", "ranges of the journal that this broadcaster never received", counts.gaps)
        yield _counter(
            "consumers",
            "consumers created to follow the journal: at the start, and after a lost connection",
            self._feed.consumers,
        )
        yield _counter(
            "replayed_clients",
            "clients that got messages from the journal because memory did not reach",
            self._replay.clients,
        )
        yield _counter("replayed_messages", "messages read from the journal for clients", self._replay.messages)
        yield _counter("lost_stretches", "ranges declared lost to a resuming client", counts.lost)
        yield _counter("snapshots", "snapshots sent to clients", counts.snapshots)
        yield _counter(
            "snapshot_refused_envelopes",
            "envelopes left out of snapshots because of a bound; they were sent live",
            hub.latest.refused,
        )
        yield _counter("forgotten_modules", "modules forgotten after long silence", hub.latest.forgotten)

    def _gauges(self) -> Iterable[Metric]:
        hub, peers = self._gateway.hub, list(self._gateway.peers)  # copied in one step: the loop runs in another thread
        paces = GaugeMetricFamily(f"{PREFIX}_clients", "clients by pace", labels=["pace"])
        clients = Counter(client.pace for client in list(hub.clients))
        for pace in Pace:
            paces.add_metric([pace.value], clients[pace])
        yield paces
        yield _gauge("subscriptions", "subscriptions of all clients", hub.index.subscriptions)
        yield _gauge("queue_bytes", "bytes waiting for clients' connections", sum(peer.buffered for peer in peers))
        yield _gauge("head_sequence", "journal sequence of the newest message", hub.head.sequence)
        yield _gauge("modules", "modules in snapshots", len(hub.latest.modules))
        yield _gauge("snapshot_bytes", "bytes of the newest envelopes of all series", hub.latest.size)
        yield _gauge("recent_bytes", "bytes of the newest messages kept in memory for resuming", hub.buffer.size)


class AgeAtFrame(Collector):
    """Seconds from the receipt of an envelope by ingest to the end of the turn that wrote its frames to clients.
    Measures one envelope per turn, and none while the broadcaster catches up with the journal.
    """

    def __init__(self) -> None:
        self._counts = [0] * (len(BOUNDS) + 1)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        """Add the age measured in one turn. Takes no lock, so that a concurrent `collect` may miss the newest count."""
        self._counts[bisect_left(BOUNDS, seconds)] += 1
        self._sum += seconds

    def collect(self) -> Iterable[Metric]:
        """Yield the histogram."""
        buckets = list(zip([*map(str, BOUNDS), "+Inf"], accumulate(self._counts), strict=True))
        text = "age of an envelope when its frames are written, since ingest received it; one per turn of the loop"
        yield HistogramMetricFamily(f"{PREFIX}_age_at_frame_seconds", text, buckets, self._sum)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(f"{PREFIX}_{name}", text, value)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"{PREFIX}_{name}", text, value)


def _by_reason(name: str, text: str, counts: dict[str, int]) -> Metric:
    family = CounterMetricFamily(f"{PREFIX}_{name}", text, labels=["reason"])
    for reason, count in list(counts.items()):
        family.add_metric([reason], count)
    return family
