"""Operations on spans give the same results as on sets of sequences."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from seve_writer.audit.ranges import count, except_for, united, within, without

SETS = st.sets(st.integers(1, 40))


def spans(numbers):
    return united((number, number) for number in numbers)


def members(spans):
    return {number for first, last in spans for number in range(first, last + 1)}


def separate(spans):
    """Return whether the spans are in order and none touches the next."""
    return all(before[1] + 1 < after[0] for before, after in pairwise(spans))


def test_spans_that_touch_or_overlap_become_one():
    """In whatever order they come."""
    assert united([(5, 9), (1, 3)], [(4, 4), (8, 12), (20, 20)]) == ((1, 12), (20, 20))


@given(SETS, SETS)
def test_union_difference_and_count_are_those_of_sets(a, b):
    assert members(united(spans(a), spans(b))) == a | b
    assert members(without(spans(a), spans(b))) == a - b
    assert separate(united(spans(a), spans(b)))
    assert separate(without(spans(a), spans(b)))
    assert count(spans(a)) == len(a)


@given(SETS, st.integers(1, 40), st.integers(1, 40))
def test_within_cuts_spans_to_a_range(a, first, last):
    assert members(within(spans(a), first, last)) == {number for number in a if first <= number <= last}


@given(SETS, st.integers(1, 40), st.integers(0, 40))
def test_missing_sequences_are_taken_out_of_a_range(gone, first, last):
    """Missing sequences outside of the range change nothing."""
    assert members(except_for(first, last, sorted(gone))) == set(range(first, last + 1)) - gone
