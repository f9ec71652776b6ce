"""Limits on sockets and on names in subscriptions. Counts; closes nothing."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from seve_broadcaster.fanout.subscriber import Subscription
from seve_broadcaster.protocol.requests import Refusal, Subscribe

MOST_NAME_BYTES: Final = 256 << 10
"""Most bytes of module and sensor names in one client's subscriptions."""


class Sockets:
    """Counts open sockets, in total and per address. A socket counts as soon as it is accepted, before any request."""

    def __init__(self, most: int, most_per_address: int) -> None:
        self._most = most
        self._most_per_address = most_per_address
        self._of: Counter[str] = Counter()
        self.open = 0

    def admits(self, address: str) -> bool:
        """Return whether one more socket may be open; the caller has to call `gone` when an admitted one is closed."""
        if self.open >= self._most or self._of[address] >= self._most_per_address:
            self._forget(address)
            return False
        self.open += 1
        self._of[address] += 1
        return True

    def gone(self, address: str) -> None:
        """Note that an admitted socket is closed."""
        self.open -= 1
        self._of[address] -= 1
        self._forget(address)

    def _forget(self, address: str) -> None:
        if not self._of[address]:
            del self._of[address]


def check_names(subscriptions: Mapping[str, Subscription], asked: Subscribe, most: int = MOST_NAME_BYTES) -> None:
    """Raise Refusal if the names in a client's subscriptions would take more than `most` bytes."""
    kept = [one.sensors for name, one in subscriptions.items() if name not in asked.modules]
    sensors = {id(names): names for names in (*kept, asked.sensors) if names}
    groups = (subscriptions.keys() | asked.modules, *sensors.values())
    if sum(map(_bytes, groups)) > most:
        raise Refusal("too_many", f"the names in the subscriptions of a connection may take {most} bytes")


def _bytes(names: Iterable[str]) -> int:
    return sum(len(name.encode()) for name in names)
