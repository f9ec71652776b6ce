"""The crash matrix judges rightly, and the script runs: a short version of `make faults`."""

import contextlib
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from faults.crash_matrix import parse_options, plan
from faults.verdict import Carried, Cell, Untimed, table, times
from seve_fleet.simulate.result import Outcome
from seve_fleet.simulate.ws import Missed
from seve_schema.position import Position, Token
from support.conditions import wait_until

SCRIPT = Path(__file__).parent / "crash_matrix.py"
A, B = ("sim-1/co2", 1_000_000), ("sim-1/light", 2_000_000)
WELL = {
    "run": "sim",
    "sent": 2,
    "acknowledged": 2,
    "seen": 2,
    "repeated": 0,
    "strange": 0,
    "unstored": [],
    "unseen": [],
    "reports": 0,
    "reports_unacknowledged": 0,
    "reports_unseen": 0,
    "missing_rows": [],
    "connections": 1,
    "gaps": [],
    "unreadable": None,
}


def sample(sequence, key, delivery=None):
    return Carried(token(sequence), key, delivery or f"d{sequence}")


def report(sequence, topic="sim-1/system"):
    return Carried(token(sequence), None, f"d{sequence}", topic)


def token(sequence, place=0):
    return Token(Position(1, sequence), place)


def missed(start, end):
    return Missed("gap", str(token(start)), str(token(end, 9)))


def cell(carried=None, *, broker_may_lose=False, **changed):
    told = carried or [sample(1, A), sample(2, B)]
    return Cell("writer", "killed", Outcome(**{**WELL, **changed}), told, broker_may_lose=broker_may_lose)


def test_a_cell_in_which_everything_arrived_once_is_kept():
    assert cell().verdict == "kept"


@pytest.mark.parametrize(
    ("changed", "verdict"),
    [
        ({"unstored": [A]}, "1 LOST"),
        ({"strange": 1}, "1 TWICE"),
        ({"carried": [sample(1, A), sample(2, B), sample(3, A, "d1")]}, "1 TWICE"),
        ({"unseen": [A]}, "1 kept from the screen undeclared"),
        ({"reports_unseen": 1}, "1 kept from the screen undeclared"),
        ({"repeated": 1}, "1 twice on the screen"),
        ({"acknowledged": 1}, "1 never acknowledged"),
        ({"unreadable": "no answer"}, "no answer"),
        ({"missing_rows": ["sensor_status has 1 rows"]}, "sensor_status has 1 rows"),
    ],
)
def test_a_broken_promise_is_named(changed, verdict):
    assert cell(**changed).verdict == verdict


def test_what_a_screen_lacks_is_looked_for_in_the_journal():
    """Of the run's own modules, and without what was retained."""
    carried = [sample(1, A), sample(2, B), report(3, "sim-1/system"), report(4, "load-1/system"), report(5, None)]
    assert cell(carried, reports=1, reports_unseen=1).verdict == "1 kept from the screen undeclared"
    says = "1 kept from the screen undeclared; 1 reports not in the journal"
    assert cell(carried, reports=2, reports_unseen=1).verdict == says


def test_samples_without_a_time_count_row_by_row():
    without = cell()._replace(untimed=Untimed(sent=5, acknowledged=5))
    assert (without.sent, without.stored, without.verdict) == (7, 7, "kept")
    broken = without._replace(untimed=Untimed(sent=5, acknowledged=4, lost=2, twice=1))
    assert (broken.stored, broken.verdict) == (5, "2 LOST; 1 TWICE; 1 never acknowledged")
    forgotten = without._replace(untimed=Untimed(sent=5, acknowledged=5, twice=2, forgotten=2))
    assert (forgotten.twice, forgotten.verdict) == (0, "kept (2 twice by the broker itself)")


def test_a_sample_sent_twice_by_the_device_may_be_seen_twice():
    """It is in the journal twice by two deliveries; the table has it once."""
    assert cell([sample(1, A), sample(2, B), sample(3, A)], repeated=1).verdict == "kept"


def test_a_sample_that_a_damaged_journal_lost_and_the_broker_sent_again_may_be_seen_twice():
    """The screen had it before the damage."""
    again = cell([sample(2, B), sample(3, A)], repeated=1)
    assert again.repeated == 1
    assert again._replace(gone=[sample(1, A)]).repeated == 0


@pytest.mark.parametrize(
    ("gap", "undeclared"),
    [
        (missed(1, 2), 0),
        (missed(0, 1), 1),
        (missed(2, 3), 1),
    ],
)
def test_a_gap_declares_exactly_what_lies_in_it(gap, undeclared):
    """Behind its start, up to and including its end."""
    assert cell(unseen=[B], gaps=[gap]).undeclared == undeclared


def test_reports_in_a_gap_are_declared_as_samples_are():
    told = [sample(1, A), report(2), sample(3, B)]
    assert [cell(told, reports_unseen=n, gaps=[missed(1, 2)]).undeclared for n in (1, 2)] == [0, 1]


def test_a_killed_broker_may_lose_only_messages_that_ingest_never_received():
    """What is in the journal is ours to keep, whoever was killed."""
    lost = {"unstored": [A, B], "unseen": [A], "broker_may_lose": True}
    assert cell([sample(2, B)], **lost).verdict == "1 LOST (1 lost by the broker itself)"


def test_times_are_measured_from_the_fault_and_from_the_sample():
    """A sample sent before the fault says nothing about when the pipeline was back."""
    told = [sample(1, A), report(2), sample(3, B), sample(4, B)]
    assert times(told, {1: 5.0, 2: 5.5, 3: 7.0}, at=1_500_000) == (5.5, 5.0)
    assert times(told, {}, at=0) == (None, None)


def test_the_table_has_a_line_a_cell():
    head, line = table([cell()]).splitlines()
    assert " ".join(head.split()) == "part fault sent stored twice lost seen gaps first row slowest verdict"
    assert " ".join(line.split()) == "writer killed 2 2 0 0 2 0 never never kept"


def planned(monkeypatch, *chosen):
    """The faults of each part."""
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *chosen])
    found = {}
    for part, fault in plan(parse_options()):
        found.setdefault(part, set()).add(fault)
    return found


def test_every_container_is_killed_and_frozen_with_samples_of_both_kinds(monkeypatch):
    both = {"killed", "frozen", "killed-untimed", "frozen-untimed"}
    docker = planned(monkeypatch, "--mode", "docker")
    assert docker.keys() == {"broker", "nats", "ingest", "writer", "broadcaster", "postgres"}
    assert all(faults >= both for faults in docker.values())
    cluster = planned(monkeypatch, "--mode", "cluster")
    assert cluster.keys() == {"leader", "follower"}
    assert all(faults >= both | {"cut-off", "cut-off-untimed"} for faults in cluster.values())


def test_what_containers_alone_have_is_no_row_without_them(monkeypatch):
    assert not planned(monkeypatch).keys() & {"leader", "follower", "broker"}


def ran(*chosen):
    command = [sys.executable, SCRIPT, *chosen]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def test_the_script_runs_two_cells_and_finds_nothing():
    done = ran("--parts", "ingest", "postgres", "--faults", "killed", "--rate", "200")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line.split()[-1] for line in done.stdout.splitlines()[-2:]] == ["kept", "kept"]


def test_a_fault_that_no_part_knows_is_named():
    done = ran("--parts", "ingest", "--faults", "slow")
    assert (done.returncode, done.stderr.splitlines()[-1].split(": error: ")[1]) == (
        2,
        "none of these parts knows such a fault",
    )


def test_interrupted_it_leaves_nothing_running():
    """Not even the processes that it had frozen."""
    chosen = ("--parts", "postgres", "--faults", "frozen", "--rate", "100")
    process = subprocess.Popen([sys.executable, SCRIPT, *chosen], stdout=subprocess.PIPE, text=True)
    with process:
        whole = psutil.Process(process.pid)
        wait_until(lambda: psutil.STATUS_STOPPED in map(state, children(whole)), "frozen")
        started = children(whole)
        process.send_signal(signal.SIGTERM)
        assert "interrupted" in process.communicate(timeout=60)[0]
    wait_until(lambda: set(map(state, started)) == {psutil.STATUS_ZOMBIE}, "all of it gone")
    assert (process.returncode, len(started) > 5) == (130, True)


def children(process):
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.children(recursive=True)
    return []


def state(process):
    """A zombie is as gone as a process whose parent has asked already."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.status()
    return psutil.STATUS_ZOMBIE
