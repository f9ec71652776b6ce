"""The pace is even and the total exact."""

from hypothesis import given
from hypothesis import strategies as st
from seve_fleet.simulate.pace import Pace


def test_messages_are_due_at_an_even_rate():
    pace = Pace(rate=100, seconds=2)
    assert [range(10), range(10, 10), range(10, 50)] == [pace.take(t, 1000) for t in (0.1, 0.1, 0.5)]


def test_late_messages_are_due_at_once_within_the_bound():
    pace = Pace(rate=100, seconds=2)
    assert [range(30), range(30, 60)] == [pace.take(1.0, 30), pace.take(1.0, 30)]


@given(st.floats(0.5, 5000), st.floats(0.1, 60), st.lists(st.floats(0, 5), max_size=50))
def test_the_total_is_exact(rate, seconds, steps):
    """However unevenly the caller comes round, no number is taken twice and none is left out."""
    pace, at, taken = Pace(rate, seconds), 0.0, []
    for step in steps:
        at += step
        taken += pace.take(at, 10**9)
    taken += pace.take(seconds + 1 / rate + 1, 10**9)
    assert list(range(round(rate * seconds))) == taken
    assert pace.done


def test_a_rate_that_swings_is_lowest_at_the_beginning_of_a_day_and_highest_in_its_middle():
    pace = Pace(rate=100, seconds=20, swing=0.5, day=10)
    counts = [len(pace.take(t, 10**9)) for t in range(21)]
    assert counts[1] < counts[3] < counts[5] == max(counts)
    assert (counts[1], counts[5]) == (53, 147)
    assert sum(counts[:11]) == sum(counts[11:]) == 1000
