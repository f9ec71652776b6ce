"""A connection between two parts: in order in each direction, with delays, and broken at any moment. What is on its way
when it breaks is lost.
"""

from collections.abc import Callable
from random import Random
from typing import Any

from simulation.clock import VirtualLoop


class Link:
    """One connection after another. `up` is whether there is one; `slow` is added to each delay, seconds."""

    def __init__(self, loop: VirtualLoop, rng: Random) -> None:
        self._loop = loop
        self._rng = rng
        self._free = [0.0, 0.0]
        self.generation = 0
        self.up = False
        self.slow = 0.0

    def open(self) -> None:
        """A new connection."""
        self.generation += 1
        self.up = True
        self._free = [0.0, 0.0]

    def cut(self) -> None:
        """Lose the connection, and what is on its way."""
        self.generation += 1
        self.up = False

    def there(self, arrive: Callable[..., None], *args: Any) -> None:
        """Call `arrive` at the far end, behind what was sent there before."""
        self._send(0, arrive, args)

    def back(self, arrive: Callable[..., None], *args: Any) -> None:
        """Call `arrive` at the near end."""
        self._send(1, arrive, args)

    def _send(self, direction: int, arrive: Callable[..., None], args: tuple) -> None:
        if not self.up:
            return
        at = self._loop.time() + self._rng.random() ** 3 * 0.02 + self.slow
        at = self._free[direction] = max(at, self._free[direction] + 1e-6)
        self._loop.call_at(at, self._arrived, self.generation, arrive, args)

    def _arrived(self, generation: int, arrive: Callable[..., None], args: tuple) -> None:
        if generation == self.generation:
            arrive(*args)
