"""The samples of a load: which module and sensor each has, and its payload. The value of a sample is its number.

So whoever reads a row or a frame knows which sample it is, whatever the payload's form, and when it was sent.
"""

from typing import Final

from seve_schema.times import format_time

SENSORS: Final = ("temperature", "humidity", "co2", "pressure", "light")
FORMS: Final = ("bare", "value", "timed")
"""`42` · `{"value":42}` · `{"value":42,"time":"…"}`: what devices send most, in that order."""


class Samples:
    """Modules take turns, each with its sensors in turn. Times of the form `timed` strictly increase."""

    def __init__(self, prefix: str, modules: int, form: str, first: int) -> None:
        if form not in FORMS:
            raise ValueError(f"form: {form!r} is none of {', '.join(FORMS)}")
        self._names = [f"{prefix}-{module:05d}/".encode() for module in range(modules)]
        self._sensors = [sensor.encode() for sensor in SENSORS]
        self._form = form
        self._first = first
        self._last = 0

    def topic(self, number: int) -> bytes:
        """The topic of sample `number`, counted from 0."""
        return self.of(number % len(self._names), number // len(self._names))

    def of(self, module: int, turn: int) -> bytes:
        """The topic of a module's sample, in its turn."""
        return self._names[module] + self._sensors[turn % len(self._sensors)]

    def payload(self, number: int, now: int) -> bytes:
        """The payload of sample `number`, sent at `now` (microseconds since 1970)."""
        value = self._first + number
        if self._form == "bare":
            return b"%d" % value
        if self._form == "value":
            return b'{"value":%d}' % value
        self._last = max(now, self._last + 1)
        return b'{"value":%d,"time":"%b"}' % (value, format_time(self._last).encode())
