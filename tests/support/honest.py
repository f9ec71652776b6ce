"""Normal traffic beside an attack: a device that publishes without a pause, and a client that watches it."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from support import clients
from support.conditions import wait_until
from support.stack import Stack

LEAST = 100
"""Least samples published after the attack, to meet its later effects."""


class Honest:
    """One device and one client. `numbers` are the values that the broker acknowledged, in order.

    The device has a clock, so a sample that it repeats after a lost connection is the same row.
    """

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
        left, began = LEAST, datetime.now(UTC)
        while left:
            left -= self._over.is_set()
            number = len(self.numbers)
            moment = (began + timedelta(microseconds=number)).isoformat(timespec="microseconds")
            self._publish(f"{self._module}/co2", json.dumps({"value": number, "time": moment}))
            self.numbers.append(number)

    @property
    def frames(self) -> list[dict]:
        """The frames that the client has received so far."""
        return self._screen.frames

    def end(self) -> None:
        """Publish the last samples and stop."""
        self._over.set()
        self._thread.join(120)

    def lost_nothing(self, seconds: float = 60) -> None:
        """Stop, and assert that every sample is a row and a frame, within `seconds` each.

        The order of frames does not matter: a broker redelivers messages behind newer ones if ingest is late.
        """
        self.end()
        assert not self._thread.is_alive(), "the device is not acknowledged any more"
        assert len(self.numbers) >= LEAST
        rows = "SELECT value::int FROM measurements WHERE module_id = %s ORDER BY value"
        wait_until(
            lambda: len(self._stack.query(rows, self._module)) >= len(self.numbers), "a row of every sample", seconds
        )
        assert [value for (value,) in self._stack.query(rows, self._module)] == self.numbers
        wait_until(lambda: len(self._seen()) >= len(self.numbers), "a frame of every sample", seconds)
        assert self._seen() == set(self.numbers)
        assert not self._screen.has("gap")
        assert not self._screen.has("skipped")

    def _seen(self) -> set[int]:
        return {int(envelope["value"]) for envelope in self._screen.envelopes}


@contextmanager
def honest(stack: Stack, module: str, **headers: str) -> Iterator[Honest]:
    """Run a device and a client; `headers` are those of the client's connection."""
    with (
        clients.device(stack.mqtt_url) as publish,
        clients.screen(stack.ws_url, module, headers=headers) as screen,
    ):
        one = Honest(stack, module, publish, screen)
        try:
            yield one
        finally:
            one.end()
