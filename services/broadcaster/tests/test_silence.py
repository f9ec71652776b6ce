"""Which modules fell silent, as values."""

from seve_broadcaster.snapshot.silence import Silence
from seve_broadcaster.snapshot.snapshot import Module, Present

HEARD = 1_767_225_600.0  # 2026-01-01T00:00:00Z


def a_silence(after=600.0, heard="2026-01-01T00:00:00.000000Z"):
    present = Present()
    present.modules["a"] = Module(heard=heard)
    return present, Silence(present, after)


def test_a_module_falls_silent_after_its_time_and_speaks_again():
    """Each is told once; at the time itself it is not silent yet."""
    present, silence = a_silence()
    assert list(silence.changes(HEARD + 600)) == []
    assert list(silence.changes(HEARD + 600.1)) == [("a", True)]
    assert list(silence.changes(HEARD + 700)) == []
    present.modules["a"].heard = "2026-01-01T00:11:40.000000Z"
    assert list(silence.changes(HEARD + 701)) == [("a", False)]


def test_zero_is_never():
    """However long it is."""
    _, silence = a_silence(after=0.0)
    assert list(silence.changes(HEARD + 1e9)) == []


def test_a_time_that_cannot_be_read_ends_nothing():
    """LATEST may hold bytes that another program wrote."""
    for heard in ("", "yesterday"):
        _, silence = a_silence(heard=heard)
        assert list(silence.changes(HEARD + 1e9)) == []
