"""The account of a run: checks sent = acknowledged = stored = seen for each sample, and names missing samples.

Pure: the caller reports events with their times. Topic and time (microseconds since 1970) identify a sample within the
run, so a sample that is seen or stored twice counts once.
"""

from array import array
from collections.abc import Iterable
from typing import Final, NamedTuple

from seve_schema.times import format_time

Key = tuple[str, int]
EXAMPLES: Final = 3


class Latency(NamedTuple):
    """Seconds from publishing to the WebSocket frame."""

    p50: float
    p99: float
    longest: float


class Account:
    """The state of each sample with a device's time, and counts of reports (all other messages)."""

    def __init__(self) -> None:
        self._sent: dict[Key, None] = {}
        self._unacknowledged: set[Key] = set()
        self._unseen: set[Key] = set()
        self._latencies = array("d")
        self.repeated = self.strangers = 0
        self.reports_sent = self.reports_acknowledged = self.reports_seen = 0
        self.clockless_sent = self.clockless_seen = 0

    @property
    def sent(self) -> int:
        """Return how many samples were handed to the MQTT client."""
        return len(self._sent)

    @property
    def acknowledged(self) -> int:
        """Return how many samples have their PUBACK."""
        return len(self._sent) - len(self._unacknowledged)

    @property
    def seen(self) -> int:
        """Return how many samples arrived on the WebSocket."""
        return len(self._sent) - len(self._unseen)

    def send(self, key: Key) -> None:
        """Note that a sample was handed to the MQTT client."""
        self._sent[key] = None
        self._unacknowledged.add(key)
        self._unseen.add(key)

    def acknowledge(self, key: Key) -> None:
        """Note the PUBACK of a sample."""
        self._unacknowledged.discard(key)

    def see(self, key: Key, at: int) -> None:
        """Note that a sample arrived on the WebSocket at `at` (microseconds since 1970); repetitions are counted."""
        if key in self._unseen:
            self._unseen.discard(key)
            self._latencies.append((at - key[1]) / 1e6)
        elif key in self._sent:
            self.repeated += 1
        else:
            self.strangers += 1

    def latency(self, newest: int | None = None) -> Latency | None:
        """Return the latency of the samples seen so far, or of the `newest` of them; None if there are none."""
        if not self._latencies:
            return None
        ranked = sorted(self._latencies[-newest:] if newest else self._latencies)
        last = len(ranked) - 1
        return Latency(ranked[len(ranked) // 2], ranked[min(last, len(ranked) * 99 // 100)], ranked[last])

    def settled(self, *, gaps: bool = False) -> bool:
        """Return whether everything sent was acknowledged and seen. With declared `gaps`, seen does not matter."""
        seen = gaps or (not self._unseen and self.reports_seen >= self.reports_sent)
        return seen and not self._unacknowledged

    @property
    def unseen(self) -> list[Key]:
        """Return the samples that never arrived on the WebSocket, in the order of sending."""
        return [key for key in self._sent if key in self._unseen]

    def strange(self, stored: Iterable[Key]) -> int:
        """Return how many of the stored samples were never sent, such as a sample stored with another time."""
        return sum(key not in self._sent for key in stored)

    def unstored(self, stored: Iterable[Key]) -> list[Key]:
        """Return the sent samples that are not among the stored ones, in the order of sending."""
        rows = set(stored)
        return [key for key in self._sent if key not in rows]

    def faults(self) -> list[str]:
        """Return why the account does not close, for the broker and the WebSocket; empty if it closes."""
        faults = []
        if self._unacknowledged:
            faults.append(describe_samples("never acknowledged by the broker", list(self._unacknowledged)))
        if self._unseen:
            faults.append(describe_samples("never seen on the WebSocket", list(self._unseen)))
        if self.reports_acknowledged < self.reports_sent:
            faults.append(f"{self.reports_sent - self.reports_acknowledged} reports never acknowledged by the broker")
        if self.reports_seen < self.reports_sent:
            faults.append(f"{self.reports_sent - self.reports_seen} reports never seen on the WebSocket")
        if self.strangers:
            faults.append(f"{self.strangers} samples on the WebSocket that this run never sent")
        return faults


def describe_samples(what: str, keys: list[Key]) -> str:
    """Return a count of samples with the names of a few."""
    names = ", ".join(f"{topic} at {format_time(time)}" for topic, time in sorted(keys)[:EXAMPLES])
    return f"{len(keys)} samples {what}: {names}{', ...' if len(keys) > EXAMPLES else ''}"
