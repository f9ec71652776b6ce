"""Honest traffic beside an attack: a device that publishes without a pause, and a screen that watches it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from support import clients
from support.conditions import wait_until
from support.stack import Stack

LEAST = 100
"""Samples that go on after the attack, so that what it left behind is met too."""


class Honest:
    """One device and one screen. `numbers` are the values that the broker acknowledged, in order."""

    def __init__(self, stack: Stack, module: str, publish, screen: clients.Watched) -> None:
        self.numbers: list[int] = []
        self._stack = stack
        self._module = module
        self._publish = publish
        self._screen = screen
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._go_on, name="honest")
        self._thread.start()

    def _go_on(self) -> None:
        left = LEAST
        while left:
            left -= self._over.is_set()
            self._publish(f"{self._module}/co2", len(self.numbers))
            self.numbers.append(len(self.numbers))

    @property
    def frames(self) -> list[dict]:
        """What the screen was sent so far."""
        return self._screen.frames

    def end(self) -> None:
        """Publish the last samples and stop."""
        self._over.set()
        self._thread.join(120)

    def lost_nothing(self, seconds: float = 60) -> None:
        """Stop, and assert that every sample is a row, and a frame in its place, each within `seconds`."""
        self.end()
        assert not self._thread.is_alive(), "the device is not acknowledged any more"
        assert len(self.numbers) >= LEAST
        rows = "SELECT value::int FROM measurements WHERE module_id = %s ORDER BY value"
        wait_until(
            lambda: len(self._stack.query(rows, self._module)) >= len(self.numbers), "a row of every sample", seconds
        )
        assert [value for (value,) in self._stack.query(rows, self._module)] == self.numbers
        wait_until(lambda: len(self._screen.envelopes) >= len(self.numbers), "a frame of every sample", seconds)
        assert [envelope["value"] for envelope in self._screen.envelopes] == self.numbers
        assert not self._screen.has("gap")
        assert not self._screen.has("skipped")


@contextmanager
def honest(stack: Stack, module: str, **headers: str) -> Iterator[Honest]:
    """A device and a screen at work while the context lasts; `headers` are those of the screen's connection."""
    with (
        clients.device(stack.mqtt_url) as publish,
        clients.screen(stack.ws_url, module, headers=headers) as screen,
    ):
        one = Honest(stack, module, publish, screen)
        try:
            yield one
        finally:
            one.end()
