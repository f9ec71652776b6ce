"""Builds the samples of a load: module, sensor and payload of each. The value of a sample is its number.

So a row or a frame identifies its sample whatever the payload's form, and, by the log, the sample's time of sending.
"""

from typing import Final

from seve_schema.times import format_time

SENSORS: Final = ("temperature", "humidity", "co2", "pressure", "light")
FORMS: Final = ("bare", "value", "timed", "mixed")
"""`42` · `{"value":42}` · `{"value":42,"time":"…"}`: the most common payloads of devices, in that order. `mixed` takes
the three in turn.
"""


class Samples:
    """Modules send in turn, each for its sensors in turn. Times of the form `timed` strictly increase."""

    def __init__(self, prefix: str, modules: int, form: str, first: int) -> None:
        if form not in FORMS:
            raise ValueError(f"form is {form!r}; use one of {', '.join(FORMS)}")
        self._names = [f"{prefix}-{module:05d}/".encode() for module in range(modules)]
        self._sensors = [sensor.encode() for sensor in SENSORS]
        self._form = form
        self._first = first
        self._last = 0

    def topic(self, number: int) -> bytes:
        """Return the topic of sample `number`, counted from 0."""
        return self.of(number % len(self._names), number // len(self._names))

    def of(self, module: int, turn: int) -> bytes:
        """Return the topic of a module's sample in its `turn`."""
        return self._names[module] + self._sensors[turn % len(self._sensors)]

    def payload(self, number: int, now: int) -> bytes:
        """Return the payload of sample `number`, sent at `now` (microseconds since 1970)."""
        value = self._first + number
        form = FORMS[number % 3] if self._form == "mixed" else self._form
        if form == "bare":
            return b"%d" % value
        if form == "value":
            return b'{"value":%d}' % value
        self._last = max(now, self._last + 1)
        return b'{"value":%d,"time":"%b"}' % (value, format_time(self._last).encode())
