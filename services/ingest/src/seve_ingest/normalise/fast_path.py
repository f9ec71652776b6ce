"""Plain samples, by far the most frequent payloads, from bytes to an encoded envelope: `450.5`, `{"value": 450.5}`, and
`{"value": 450.5, "time": "2025-11-30T19:00:00Z"}` with a time in UTC or as an epoch.

Its envelope is the same, byte for byte, that `normaliser` makes; anything it does not recognise it leaves to that.
"""

from typing import Final

import msgspec
from seve_schema.codec import encode
from seve_schema.times import MICROS, format_time

from seve_ingest.normalise import timestamps
from seve_ingest.normalise.timestamps import MOST_AHEAD, YEAR_2000
from seve_ingest.normalise.topics import Place
from seve_ingest.normalise.verdict import Verdict

MAX_PLAIN: Final = 128
"""Longest payload that is tried, in bytes: a plain sample needs no more, and a long payload is decoded once only."""

MAX_SECONDS: Final = 4096
"""Most whole seconds whose reading is cached: devices' clocks repeat."""

_THOUSAND: Final = tuple(f"{number:03d}" for number in range(1000))
_NO_REPAIRS: Final[tuple[str, ...]] = ()
_TIME_MISSING: Final[tuple[str, ...]] = ("time_missing",)


class _Plain(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """An object with a number and at most a time."""

    value: float
    time: str | float | None = None


_decode: Final = msgspec.json.Decoder(float | _Plain).decode


class FastPath:
    """Reads plain samples. `retention` in microseconds; what is older is left to the rules."""

    def __init__(self, retention: int) -> None:
        self._retention = retention
        self._second = -1
        self._second_text = ""
        self._least = self._most = 0
        self._seconds: dict[str, int] = {}

    def __call__(self, place: Place, payload: bytes, received_at: int, key: str | None) -> Verdict | None:
        """The verdict on a payload for a place with a `head`, or None where the rules have to read it."""
        try:
            sample = _decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        second, rest = divmod(received_at, MICROS)
        if second != self._second:
            self._turn(second)
        received = f"{self._second_text}{_THOUSAND[rest // 1000]}{_THOUSAND[rest % 1000]}Z"
        value, time, clock, repairs = sample, received, "server", _TIME_MISSING
        if type(sample) is not float:
            value, written = sample.value, sample.time
            if written is not None:
                moment = self._utc(written) if type(written) is str else self._epoch(float(written))
                if moment is None:
                    return None
                time, clock, repairs = moment, "device", _NO_REPAIRS
        written_key = "null" if key is None else f'"{key}:0"'
        data = (
            f'{place.head}{encode(value).decode()},"time":"{time}","clock":"{clock}","receivedAt":"{received}",'
            f'"metadata":null,"deliveryKey":{written_key},"retained":false}}'
        )
        return Verdict((data.encode(),), "measurement", None, None, repairs)

    def _turn(self, second: int) -> None:
        """Begin a second of receipt: its text, and bounds of a device's time, a second narrower than the rules'."""
        micros = second * MICROS
        self._second, self._second_text = second, format_time(micros)[:20]
        self._least = max(YEAR_2000, micros + MICROS - self._retention)
        self._most = micros + MOST_AHEAD - MICROS

    def _utc(self, written: str) -> str | None:
        """A time in UTC, in whole seconds, milliseconds or microseconds, as the envelope has it."""
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
        """The microseconds since 1970 of `2025-11-30T19:00:00`, or None for any other form."""
        micros = timestamps.whole_second(text)
        if micros is not None:
            if len(self._seconds) >= MAX_SECONDS:
                self._seconds.clear()
            self._seconds[text] = micros
        return micros
