"""Warnings about the space on the disk."""

import pytest
from seve_embedded.shared.disk import FULL, STREAMS, Room, reserved
from seve_embedded.shared.status_report import StatusReport, add_stream, note_room
from seve_embedded.supervision.disk_usage import room_at, size_of
from seve_runtime.nats.topology import TopologySettings

GIB = 1 << 30


@pytest.mark.parametrize(
    ("room", "growth", "warning"),
    [
        (Room(50 * GIB, 100 * GIB), 5 * GIB, None),
        (Room(500 * GIB, 8000 * GIB), 5 * GIB, None),
        (Room(5 * GIB, 100 * GIB), 5 * GIB, "the streams may still take 5.0 GiB"),
        (Room(20 * GIB, 100 * GIB), 15 * GIB, None),
        (Room(20 * GIB, 100 * GIB), 16 * GIB, "20.0 GiB free, three quarters of it for streams"),
        (Room(9 * GIB, 100 * GIB), 5 * GIB, "nearly full: 9.0 GiB of 100.0 GiB"),
        (Room(FULL - 1, 100 * GIB), 0, "the disk is full: 64.0 MiB free"),
        (Room(FULL, 2 * FULL), 0, None),
    ],
)
def test_a_warning_comes_before_the_disk_is_full(room, growth, warning):
    """A large disk is not low at a tenth; space that the streams may still take counts as taken."""
    said = room.warning(growth)
    assert (said is None) == (warning is None)
    assert warning is None or warning in said


def test_sizes_are_those_that_the_services_read():
    """Their defaults too: a bare Python knows them by itself."""
    defaults = TopologySettings()
    assert {name: getattr(defaults, name.lower()) for name in STREAMS} == STREAMS
    assert reserved({}) == sum(STREAMS.values())
    assert reserved({"JOURNAL_MAX_BYTES": "3GiB"}) == sum(STREAMS.values()) + GIB
    with pytest.raises(ValueError, match="LATEST_MAX_BYTES = '3': expected a size with its unit"):
        reserved({"LATEST_MAX_BYTES": "3"})


def test_status_counts_what_every_stream_may_still_take():
    report = StatusReport(headline="", healthy=True)
    add_stream(report, "TELEMETRY", 1, GIB, limit=3 * GIB, purpose="")
    add_stream(report, "LATEST", 1, 2 * GIB, limit=GIB, purpose="")
    add_stream(report, "unbounded", 1, GIB, limit=0, purpose="")
    note_room(report, Room(50 * GIB, 100 * GIB))
    assert report.disk == "Disk: 50.0 GiB of 100.0 GiB free, of which the streams may take 2.0 GiB"
    assert report.healthy


def test_status_reports_a_full_disk_as_a_fault():
    report = StatusReport(headline="", healthy=True)
    note_room(report, Room(0, GIB))
    assert report.disk.startswith("Disk: WARNING: the disk is full")
    assert not report.healthy


def test_the_room_is_that_of_the_file_system(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(b"x" * 1000)
    assert size_of(tmp_path) == 1000
    assert size_of(tmp_path / "none") == 0
    assert 0 < room_at(tmp_path, tmp_path / "none").free < room_at(tmp_path).total
