"""The plan of a long run, and what its records say."""

from collections import Counter

import pytest

from bench.scenarios.soak import between
from bench.timeline import KILLED, SECOND, lives, plan, slope


def record(minute, pid, size=0.0):
    return {"minute": minute, "pids": {"nats": pid}, "memory_mb": {"nats": size}}


def test_every_part_is_killed_before_one_is_killed_again():
    kills = [step.part for step in plan(1, 3600, 240, 600) if step.do == "kill"]
    assert len(kills) > 2 * len(KILLED)
    assert Counter(kills[: len(KILLED)]) == Counter(kills[len(KILLED) : 2 * len(KILLED)]) == Counter(KILLED)


def test_a_seed_gives_the_same_plan_and_its_end_is_calm():
    steps = plan(7, 3600, 240, 600)
    assert steps == plan(7, 3600, 240, 600) != plan(8, 3600, 240, 600)
    assert max(step.at for step in steps if step.do == "kill") < 3540


def test_the_second_writer_works_in_the_middle_of_each_day():
    assert [(step.at, step.do) for step in plan(1, 180, 1000, 90) if step.part == SECOND] == [
        (30, "start"),
        (60, "stop"),
        (120, "start"),
        (150, "stop"),
    ]


def test_each_process_of_a_part_has_a_life_of_its_own_and_its_first_seconds_do_not_count():
    records = [record(0, 1), record(1, 1), record(2, 1), {"minute": 3, "pids": {}}, record(4, 2), record(5, 2)]
    assert [[minute for minute, _ in life] for life in lives(records, "nats", settling=60)] == [[1, 2], [5]]


def test_a_slope_does_not_see_the_steps_between_lives():
    assert slope([[(0, 100), (1, 102)], [(2, 10), (3, 12), (4, 14)]]) == pytest.approx(2)
    assert slope([[(0, 1)], []]) is None


def test_latencies_belong_to_the_stretch_in_which_a_sample_was_sent():
    first, second = between([0, 1_000_000], [0, 900_000, 1_500_000], [(0, 2000), (1, 2_000_000)], [(2, 1_600_000)])
    assert (first["frame_ms"]["max"], first["commit_ms"]["max"]) == (1100, None)
    assert (second["frame_ms"]["p50"], second["commit_ms"]["p50"]) == (None, 100)
    assert first["sent_rate"] == 2
