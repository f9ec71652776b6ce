"""The account of a run: sent = acknowledged = stored = seen, sample by sample, and what is missing where it is not.

Pure: it is told what happened and when. A sample is its topic and its time (microseconds since 1970), which no other
sample of the run shares; so a sample seen or stored twice counts once, and one that is lost has a name.
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
    """What became of each sample with a device's time, and how many reports (all other messages) went and came."""

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
        """Samples handed to the MQTT client."""
        return len(self._sent)

    @property
    def acknowledged(self) -> int:
        """Samples whose PUBACK came."""
        return len(self._sent) - len(self._unacknowledged)

    @property
    def seen(self) -> int:
        """Samples that came on the WebSocket."""
        return len(self._sent) - len(self._unseen)

    def send(self, key: Key) -> None:
        """A sample was handed to the MQTT client."""
        self._sent[key] = None
        self._unacknowledged.add(key)
        self._unseen.add(key)

    def acknowledge(self, key: Key) -> None:
        """The broker has the sample."""
        self._unacknowledged.discard(key)

    def see(self, key: Key, at: int) -> None:
        """The sample came on the WebSocket at `at` (microseconds since 1970); a second time is noted as such."""
        if key in self._unseen:
            self._unseen.discard(key)
            self._latencies.append((at - key[1]) / 1e6)
        elif key in self._sent:
            self.repeated += 1
        else:
            self.strangers += 1

    def latency(self, newest: int | None = None) -> Latency | None:
        """Of the samples seen so far, or of the newest of them."""
        if not self._latencies:
            return None
        ranked = sorted(self._latencies[-newest:] if newest else self._latencies)
        last = len(ranked) - 1
        return Latency(ranked[len(ranked) // 2], ranked[min(last, len(ranked) * 99 // 100)], ranked[last])

    def settled(self, *, lost_sight: bool = False) -> bool:
        """Whether everything that was sent was acknowledged and seen; what was lost from sight is awaited no longer."""
        seen = lost_sight or (not self._unseen and self.reports_seen >= self.reports_sent)
        return seen and not self._unacknowledged

    @property
    def unseen(self) -> list[Key]:
        """The samples that never came on the WebSocket, in the order of sending."""
        return [key for key in self._sent if key in self._unseen]

    def strange(self, stored: Iterable[Key]) -> int:
        """How many of those stored were never sent: a sample that was given another time would be one."""
        return sum(key not in self._sent for key in stored)

    def unstored(self, stored: Iterable[Key]) -> list[Key]:
        """The samples sent that are not among those stored, in the order of sending."""
        there = set(stored)
        return [key for key in self._sent if key not in there]

    def faults(self) -> list[str]:
        """What keeps the account from closing, as far as the broker and the WebSocket go; empty if nothing does."""
        found = []
        if self._unacknowledged:
            found.append(told("never acknowledged by the broker", list(self._unacknowledged)))
        if self._unseen:
            found.append(told("never seen on the WebSocket", list(self._unseen)))
        if self.reports_acknowledged < self.reports_sent:
            found.append(f"{self.reports_sent - self.reports_acknowledged} reports never acknowledged by the broker")
        if self.reports_seen < self.reports_sent:
            found.append(f"{self.reports_sent - self.reports_seen} reports never seen on the WebSocket")
        if self.strangers:
            found.append(f"{self.strangers} samples on the WebSocket that this run never sent")
        return found


def told(what: str, keys: list[Key]) -> str:
    """A count of samples with a few of their names."""
    names = ", ".join(f"{topic} at {format_time(time)}" for topic, time in sorted(keys)[:EXAMPLES])
    return f"{len(keys)} samples {what}: {names}{', ...' if len(keys) > EXAMPLES else ''}"
