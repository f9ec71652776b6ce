"""Simulated sensor values: a daily swing, slow weather and a little jitter, as a pure function of type, seed and time.

Keeps no state between samples, so that the value of any series at any time can be computed again.
"""

import math
from typing import Final, NamedTuple

from seve_runtime.units import DAY

_MASK: Final = (1 << 64) - 1


class Course(NamedTuple):
    """Parameters of a sensor type: mean, daily swing and the hour of its peak (UTC), weather (amplitude, and seconds
    between its turns), jitter of a single sample, limits, and decimals of a value.
    """

    mean: float
    swing: float
    peak_hour: float
    weather: float
    turn_seconds: float
    jitter: float
    low: float
    high: float
    decimals: int


COURSES: Final[dict[str, Course]] = {
    "temperature": Course(21.0, 5.0, 14.0, 1.5, 1800, 0.05, -10, 45, 2),
    "humidity": Course(68.0, -12.0, 14.0, 5.0, 1500, 0.2, 5, 100, 1),
    "co2": Course(620.0, -180.0, 13.0, 60.0, 900, 4.0, 380, 2000, 1),
    "pressure": Course(1013.0, 0.8, 10.0, 6.0, 21600, 0.03, 960, 1050, 2),
    "light": Course(9000.0, 12000.0, 12.5, 2500.0, 300, 80.0, 0, 60000, 0),
}
"""Degrees Celsius, percent, parts per million, hectopascals, lux."""


def value(course: Course, seed: int, at: float) -> float:
    """Return the value of sensor `seed` at `at` (seconds since 1970), within the limits of its course."""
    day = math.cos((at / DAY - course.peak_hour / 24) * 2 * math.pi)
    weather = _smooth(seed, at / course.turn_seconds)
    jitter = _noise(seed + 1, int(at * 1000))
    raw = course.mean + course.swing * day + course.weather * weather + course.jitter * jitter
    return round(min(max(raw, course.low), course.high), course.decimals)


def _smooth(seed: int, at: float) -> float:
    """Return noise in -1..1, interpolated smoothly between whole numbers."""
    knot = math.floor(at)
    part = at - knot
    eased = part * part * (3 - 2 * part)
    return _noise(seed, knot) * (1 - eased) + _noise(seed, knot + 1) * eased


def _noise(seed: int, knot: int) -> float:
    """Return a number in -1..1 that depends on the arguments alone (the finaliser of SplitMix64)."""
    mixed = (seed * 0x9E3779B97F4A7C15 + knot * 0xD1B54A32D192ED03) & _MASK
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
    return ((mixed ^ (mixed >> 31)) >> 11) / (1 << 52) - 1
