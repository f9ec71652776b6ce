"""Which modules count as silent; and no text in place of a time may end the broadcaster."""

import pytest
from seve_broadcaster.snapshot.silence import Silence
from seve_schema.times import parse_time
from support.broadcasting import envelope

from .offline import a_hub, say

HEARD = "2025-11-30T19:00:00.000000Z"
NOW = parse_time(HEARD).timestamp()


def test_a_module_is_silent_once_it_was_not_heard_for_longer_than_allowed_and_until_it_speaks():
    """Each change is reported once; exactly the allowed time is not too long."""
    hub = a_hub()
    silence = Silence(hub.latest, 60)
    say(hub, envelope("a", 1.0, received_at=HEARD))
    assert list(silence.changes(NOW + 60)) == []
    assert list(silence.changes(NOW + 61)) == [("a", True)]
    assert list(silence.changes(NOW + 62)) == []
    say(hub, envelope("a", 1.0, received_at="2025-11-30T19:01:02.000000Z"))
    assert list(silence.changes(NOW + 63)) == [("a", False)]


def test_a_retained_message_is_no_sign_of_life():
    """A module with retained messages only is neither silent nor heard."""
    hub = a_hub()
    say(hub, envelope("a", 1.0, received_at=HEARD, retained=True))
    assert list(Silence(hub.latest, 60).changes(NOW + 3600)) == []


@pytest.mark.parametrize("text", ["", "yesterday", "9" * 50, "2025-13-45T99:00:00Z"])
def test_an_unreadable_time_raises_no_error(text):
    """Neither when silence is judged nor when modules are forgotten."""
    hub = a_hub()
    say(hub, envelope("odd", 1.0, received_at=text), envelope("a", 1.0, received_at=HEARD))
    assert ("a", True) in list(Silence(hub.latest, 60).changes(NOW + 61))
    assert "a" in hub.forget("2025-12-30T19:00:00.000000Z")


def test_silence_can_be_switched_off():
    """With MODULE_SILENT_AFTER=0 no module is silent."""
    hub = a_hub()
    say(hub, envelope("a", 1.0, received_at=HEARD))
    assert list(Silence(hub.latest, 0).changes(NOW + 1e6)) == []


def test_a_forgotten_module_can_fall_silent_again():
    """Its earlier silence is forgotten too."""
    hub = a_hub()
    silence = Silence(hub.latest, 60)
    say(hub, envelope("a", 1.0, received_at=HEARD))
    list(silence.changes(NOW + 61))
    hub.forget("2025-12-30T19:00:00.000000Z")
    assert list(silence.changes(NOW + 62)) == []
    say(hub, envelope("a", 1.0, received_at=HEARD))
    assert list(silence.changes(NOW + 63)) == [("a", True)]
