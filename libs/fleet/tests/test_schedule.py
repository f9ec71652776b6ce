"""The schedule is even and the total exact."""

from hypothesis import given
from hypothesis import strategies as st
from seve_fleet.simulate.schedule import Schedule


def test_messages_are_due_at_an_even_rate():
    schedule = Schedule(rate=100, seconds=2)
    assert [range(10), range(10, 10), range(10, 50)] == [schedule.take(t, 1000) for t in (0.1, 0.1, 0.5)]


def test_late_messages_are_due_at_once_within_the_bound():
    schedule = Schedule(rate=100, seconds=2)
    assert [range(30), range(30, 60)] == [schedule.take(1.0, 30), schedule.take(1.0, 30)]


@given(st.floats(0.5, 5000), st.floats(0.1, 60), st.lists(st.floats(0, 5), max_size=50))
def test_the_total_is_exact(rate, seconds, steps):
    """However irregularly the caller asks, no number is taken twice and none is left out."""
    schedule, at, taken = Schedule(rate, seconds), 0.0, []
    for step in steps:
        at += step
        taken += schedule.take(at, 10**9)
    taken += schedule.take(seconds + 1 / rate + 1, 10**9)
    assert list(range(round(rate * seconds))) == taken
    assert schedule.done


def test_a_rate_that_swings_is_lowest_at_the_beginning_of_a_day_and_highest_in_its_middle():
    schedule = Schedule(rate=100, seconds=20, swing=0.5, day=10)
    counts = [len(schedule.take(t, 10**9)) for t in range(21)]
    assert counts[1] < counts[3] < counts[5] == max(counts)
    assert (counts[1], counts[5]) == (53, 147)
    assert sum(counts[:11]) == sum(counts[11:]) == 1000
