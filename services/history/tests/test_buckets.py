"""Widths of buckets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seve_history.query.buckets import DAY, HOUR, MONTH, ORIGIN, WIDTHS, buckets

SECOND = 1_000_000
YEAR = 365 * DAY
START = 1_764_529_200 * SECOND
"""2025-11-30T19:00:00Z."""

times = st.integers(0, 4_000_000_000 * SECOND)


@pytest.mark.parametrize(
    ("seconds", "width"),
    [
        (60, 1),
        (HOUR, 10),
        (DAY, 300),
        (7 * DAY, 1800),
        (30 * DAY, 2 * HOUR),
        (90 * DAY, 6 * HOUR),
        (YEAR, DAY),
        (10 * YEAR, 14 * DAY),
    ],
)
def test_widths_are_the_usual_ones(seconds, width):
    """For 500 points."""
    assert buckets(START, START + seconds * SECOND, 500).width == width


@given(times, st.integers(1, 10 * YEAR * SECOND), st.integers(1, 10_000), st.sampled_from([1, HOUR]))
def test_the_range_is_covered_by_whole_buckets_and_no_more_than_asked_for(start, length, points, at_least):
    end = start + length
    made = buckets(start, end, points, at_least=at_least)
    size = made.width * SECOND
    assert made.start <= start < made.start + size
    assert made.end - size < end <= made.end
    assert (made.start - ORIGIN) % size == 0
    assert (made.end - made.start) % size == 0
    assert 1 <= made.number <= max(points, 2)
    assert made.width >= at_least
    assert made.width in WIDTHS or made.width % MONTH == 0


@given(times, st.integers(1, YEAR * SECOND), st.integers(2, 1000))
def test_no_narrower_width_would_do(start, length, points):
    made = buckets(start, start + length, points)
    for width in [width for width in WIDTHS if width < made.width]:
        size = width * SECOND
        first, last = (start - ORIGIN) // size, -((ORIGIN - start - length) // size)
        assert last - first > points
