"""Back soon after what was a connection, patient with what was none."""

from seve_ingest.mqtt.reconnect import Retries


def test_a_connection_that_stood_is_looked_for_at_once_and_then_ever_less():
    """A broker that restarts is found within a second; one that stays away is asked every five."""
    retries = Retries(5.0)
    assert [retries.after(lasted) for lasted in (60.0, 0.0, 0.0, 0.0, 0.0, 0.0)] == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]


def test_a_broker_that_was_never_reached_is_asked_at_the_setting_s_pace():
    """So is one that refuses the login."""
    retries = Retries(5.0)
    assert [retries.after(0.0) for _ in range(3)] == [5.0, 5.0, 5.0]


def test_a_connection_that_is_taken_away_again_and_again_is_not_hurried():
    """Another client of the same name comes back as quickly."""
    retries = Retries(5.0)
    assert [retries.after(lasted) for lasted in (60.0, 0.4, 0.9, 1.9, 3.9, 4.9)] == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]


def test_a_broker_that_restarts_often_is_found_soon_each_time():
    """What lasted four times as long as was waited for it had stood."""
    retries = Retries(5.0)
    assert [retries.after(lasted) for lasted in (3.0, 2.5, 0.0, 4.5)] == [0.5, 0.5, 1.0, 0.5]


def test_no_wait_is_longer_than_the_setting():
    """However short that is."""
    retries = Retries(0.2)
    assert [retries.after(lasted) for lasted in (60.0, 0.0, 60.0)] == [0.2, 0.2, 0.2]
