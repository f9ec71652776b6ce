"""When a part that runs but does not work is restarted."""

import itertools

import pytest
from seve_embedded.supervision.treatment import (
    FIRST_INTERVAL,
    LONGEST_INTERVAL,
    NO_CURE,
    PATIENCE,
    START_PATIENCE,
    WELL_AGAIN,
    PartFault,
    Patient,
)

ILL = PartFault("does not answer")


def restarts(patient, fault, *, start=0, end=4000, full=range(0)):
    """Return the seconds at which the part is restarted, observed every second; in `full` the disk is full."""
    return [now for now in range(start, end) if patient.observe(fault, now, disk_full=now in full)]


def test_a_part_that_works_is_left_alone():
    assert restarts(Patient(), None) == []


@pytest.mark.parametrize("fault", [ILL, PartFault("does not listen", START_PATIENCE)])
def test_a_fault_has_to_last(fault):
    """For the fault's own patience; a moment without it restarts the wait."""
    patient = Patient()
    assert restarts(patient, fault, end=int(fault.patience)) == []
    assert not patient.observe(None, fault.patience)
    assert restarts(patient, fault, start=1000)[0] == 1000 + fault.patience


def test_a_fault_that_a_restart_cannot_cure_causes_none():
    assert restarts(Patient(), PartFault("too many clients", NO_CURE)) == []


def test_restarts_that_do_not_help_come_ever_more_rarely():
    """The first at once, the next after 30 s, then twice as long each time, at most ten minutes."""
    times = restarts(Patient(), ILL)
    pauses = [after - before for before, after in itertools.pairwise(times)]
    assert times[0] == PATIENCE
    assert pauses == [FIRST_INTERVAL, 60, 120, 240, 480, *[LONGEST_INTERVAL] * (len(pauses) - 5)]


def test_the_intervals_begin_anew_after_a_while_without_a_fault():
    patient = Patient()
    end = restarts(patient, ILL, end=1500)[-1]
    assert restarts(patient, None, start=1500, end=1500 + int(WELL_AGAIN) + 1) == []
    later = restarts(patient, ILL, start=2000)
    assert later[1] - later[0] == FIRST_INTERVAL
    assert end < 1500


def test_a_short_recovery_does_not_begin_the_intervals_anew():
    """Otherwise a part that works for a moment after each restart would always be restarted at the shortest
    interval.
    """
    patient = Patient()
    first = restarts(patient, ILL, end=51)
    assert first == [PATIENCE, PATIENCE + FIRST_INTERVAL]
    assert restarts(patient, None, start=51, end=60) == []
    assert restarts(patient, ILL, start=60)[0] == first[-1] + 2 * FIRST_INTERVAL


def test_while_the_disk_is_full_nothing_is_restarted():
    assert restarts(Patient(), ILL, full=range(4000)) == []


def test_space_that_comes_back_ends_every_wait():
    """However many restarts were in vain before, and however long the disk was full."""
    patient = Patient()
    restarts(patient, ILL, end=2000)
    assert restarts(patient, ILL, start=2000, full=range(2000, 3000))[0] == 3000
