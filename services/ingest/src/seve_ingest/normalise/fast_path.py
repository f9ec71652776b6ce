"""Encodes the envelopes of plain samples, by far the most frequent payloads: `450.5`, `{"value": 450.5}`, and
`{"value": 450.5, "time": "2025-11-30T19:00:00Z"}`, with a time in UTC or as an epoch.

An envelope is the same, byte for byte, as that of `normaliser`. Any other payload is left to `normaliser`.
"""

from typing import Final

import msgspec
from seve_schema.codec import encode
from seve_schema.times import MICROS, format_time

from seve_ingest.normalise import timestamps
from seve_ingest.normalise.timestamps import MOST_AHEAD, YEAR_2000

MAX_PLAIN: Final = 128
"""Longest payload tried here, in bytes. Plain samples are shorter, and a long payload should not be decoded twice."""

MAX_SECONDS: Final = 4096
"""Most whole seconds in the cache of parsed times: times of devices repeat."""

_MICROS_OF: Final = tuple(f"{number:03d}Z" for number in range(1000))
TIME_MISSING: Final[tuple[str, ...]] = ("time_missing",)
"""The only repair of a plain sample: it has no time, and gets the time of receipt."""


class _Plain(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """An object with a number and at most a time."""

    value: float
    time: str | float | None = None


_decode: Final = msgspec.json.Decoder(float | _Plain).decode


class FastPath:
    """Encodes plain samples. `retention` is in microseconds; older samples are left to `normaliser`."""

    def __init__(self, retention: int) -> None:
        self._retention = retention
        self._milli = -1
        self._milli_text = ""
        self._least = self._most = 0
        self._seconds: dict[str, int] = {}

    def encode(self, head: str, payload: bytes, received_at: int, key: str) -> tuple[bytes, bool] | None:
        """Return the envelope of a payload and whether the payload has a time; None if `normaliser` has to read it.
        `head` is that of the topic's Place, `key` the delivery key as JSON.
        """
        try:
            sample = _decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        milli, micro = divmod(received_at, 1000)
        if milli != self._milli:
            self._turn(milli)
        received = self._milli_text + _MICROS_OF[micro]
        value, time, clock, timed = sample, received, "server", False
        if type(sample) is not float:
            value, written = sample.value, sample.time
            if written is not None:
                moment = self._utc(written) if type(written) is str else self._epoch(float(written))
                if moment is None:
                    return None
                time, clock, timed = moment, "device", True
        data = (
            f'{head}{encode(value).decode()},"time":"{time}","clock":"{clock}","receivedAt":"{received}",'
            f'"metadata":null,"deliveryKey":{key},"retained":false}}'
        )
        return data.encode(), timed

    def _turn(self, milli: int) -> None:
        """Begin a new millisecond of receipt: set its text, and the bounds of a device's time, which are up to a second
        narrower than those of `normaliser`.
        """
        micros = milli * 1000 // MICROS * MICROS
        self._milli, self._milli_text = milli, format_time(milli * 1000)[:23]
        self._least = max(YEAR_2000, micros + MICROS - self._retention)
        self._most = micros + MOST_AHEAD - MICROS

    def _utc(self, written: str) -> str | None:
        """Return a time in UTC (in whole seconds, milliseconds or microseconds) in the envelope's form; None for
        others.
        """
        start = self._seconds.get(written[:19]) or self._read_second(written[:19])
        if start is None or not self._least <= start <= self._most:
            return None
        if written[19:] == "Z":
            return f"{written[:19]}.000000Z"
        if written[19:20] == "." and written[-1] == "Z" and written[20:-1].isdecimal() and written.isascii():
            if len(written) == 27:
                return written
            if len(written) == 24:
                return f"{written[:23]}000Z"
        return None

    def _epoch(self, written: float) -> str | None:
        micros = timestamps.epoch(written)
        return None if micros is None or not self._least <= micros <= self._most else format_time(micros)

    def _read_second(self, text: str) -> int | None:
        """Return a time such as `2025-11-30T19:00:00` in microseconds since 1970; None for any other form."""
        micros = timestamps.whole_second(text)
        if micros is not None:
            if len(self._seconds) >= MAX_SECONDS:
                self._seconds.clear()
            self._seconds[text] = micros
        return micros
