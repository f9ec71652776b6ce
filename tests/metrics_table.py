"""The tables of metrics in docs/metrics.md, made from the code: `python tests/metrics_table.py` writes them."""

from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import seve_history.metrics
import seve_ingest.metrics
import seve_writer.metrics
from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase
from seve_broadcaster.fanout.hub import Hub
from seve_broadcaster.metrics import AgeAtFrame, BroadcasterCollector
from seve_broadcaster.snapshot.snapshot import NEVER, LatestValues
from seve_broadcaster.stream.replay_buffer import ReplayBuffer

PAGE = Path(__file__).parent.parent / "docs" / "metrics.md"
BEGIN, END = "<!-- metrics: made by tests/metrics_table.py -->\n", "<!-- end of metrics -->\n"


UNITS = {
    *("bytes", "seconds", "messages", "envelopes", "rows", "batches", "frames", "requests", "snapshots", "stretches"),
    *("clients", "modules", "subscriptions", "connections", "sessions", "consumers", "sequence", "gaps", "handshakes"),
    *("outcomes", "points", "repairs", "states", "resends", "retries", "upserts", "halvings", "deadletters", "changes"),
}
"""Every name has one of these words: Prometheus' base units, or the noun of what is counted."""


class Row(NamedTuple):
    """One metric as Prometheus names it."""

    name: str
    type: str
    labels: tuple[str, ...]
    help: str

    @property
    def unit(self) -> str:
        """The last word of the name that is a unit; of a flag, `0 or 1`."""
        if self.help.startswith("1 while"):
            return "0 or 1"
        return [word for word in self.name.split("_") if word in UNITS][-1]


def broadcaster():
    """The collectors of a broadcaster that serves nobody."""
    hub = Hub(NEVER, LatestValues(), ReplayBuffer(1, NEVER))
    gateway = SimpleNamespace(hub=hub, peers=set(), refused=Counter(), failed_handshakes=Counter(), ended=Counter())
    nothing = SimpleNamespace(malformed=0, consumers=0, clients=0, messages=0)
    return [BroadcasterCollector(gateway, nothing, nothing), AgeAtFrame()]


def declared(module):
    """The metrics and collectors that a module holds."""
    return [
        each
        for each in vars(module).values()
        if hasattr(each, "collect") and not isinstance(each, (type, CollectorRegistry))
    ]


SERVICES = {
    "ingest": declared(seve_ingest.metrics),
    "writer": declared(seve_writer.metrics),
    "history": declared(seve_history.metrics),
    "broadcaster": broadcaster(),
}


def rows(collectors):
    """Every metric of some collectors. Label names have no public name: a metric without samples tells no label."""
    for collector in collectors:
        families = [collector] if isinstance(collector, MetricWrapperBase) else collector.collect()
        for family in families:
            [told] = family.describe() if isinstance(family, MetricWrapperBase) else [family]
            suffix = "_total" if told.type == "counter" else ""
            yield Row(told.name + suffix, told.type, tuple(family._labelnames or ()), told.documentation)


def table():
    """One table for each service, in the order of the code."""
    parts = []
    for service, collectors in SERVICES.items():
        lines = [
            f"| `{row.name}` | {row.type} | {row.unit} | {_labels(row)} | {_sentence(row.help)} |"
            for row in rows(collectors)
        ]
        parts.append(
            f"### {service}\n\n| name | type | unit | labels | what |\n|---|---|---|---|---|\n" + "\n".join(lines)
        )
    return "\n\n".join(parts) + "\n"


def _labels(row):
    return ", ".join(f"`{label}`" for label in row.labels)


def _sentence(text):
    return text[0].lower() + text[1:] if text[:2].istitle() else text


def in_page():
    """The tables as the page has them."""
    return PAGE.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0]


if __name__ == "__main__":
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    PAGE.write_text(before + BEGIN + table() + END + rest.split(END)[1], encoding="utf-8")
