"""Sensors drift plausibly, and the same way every time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seve_fleet.simulate.drift import COURSES, DAY, value

NOON = 20_000 * DAY + DAY / 2


@given(st.sampled_from(list(COURSES)), st.integers(0, 2**31), st.floats(0, 4e9))
def test_a_value_stays_within_the_limits_of_its_sensor(sensor, seed, at):
    """Whatever the seed and the moment."""
    course = COURSES[sensor]
    assert course.low <= value(course, seed, at) <= course.high


def test_the_same_moment_of_the_same_series_is_the_same_value():
    """No state is kept between samples."""
    assert value(COURSES["co2"], 7, NOON) == value(COURSES["co2"], 7, NOON)


def test_two_modules_measure_differently():
    assert value(COURSES["temperature"], 1, NOON) != value(COURSES["temperature"], 2, NOON)


@pytest.mark.parametrize(("sensor", "higher_by_day"), [("temperature", True), ("humidity", False), ("light", True)])
def test_values_swing_with_the_day(sensor, higher_by_day):
    """Warm and bright at noon, moist at night, on the mean of many modules."""
    course = COURSES[sensor]
    noon = sum(value(course, seed, NOON) for seed in range(100))
    midnight = sum(value(course, seed, NOON + DAY / 2) for seed in range(100))
    assert higher_by_day == (noon > midnight)


def test_a_value_moves_little_in_a_second():
    """A sensor drifts; it does not jump."""
    course = COURSES["temperature"]
    steps = [abs(value(course, 3, NOON + s + 1) - value(course, 3, NOON + s)) for s in range(600)]
    assert 0 < max(steps) <= 3 * course.jitter
