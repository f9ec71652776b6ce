"""Back soon after what was a connection, patient with what was none."""

from seve_ingest.mqtt.reconnect import Retries


def test_the_backoff_begins_short_after_a_stable_connection_and_doubles():
    """A broker that restarts is found within a second; one that stays away is asked every five."""
    retries = Retries(5.0)
    assert [retries.after(lasted) for lasted in (60.0, 0.0, 0.0, 0.0, 0.0, 0.0)] == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]


def test_the_longest_wait_applies_until_the_first_connection():
    """So is one that refuses the login."""
    retries = Retries(5.0)
    assert [retries.after(0.0) for _ in range(3)] == [5.0, 5.0, 5.0]


def test_short_connections_do_not_reset_the_backoff():
    """Another client of the same name comes back as quickly."""
    retries = Retries(5.0)
    assert [retries.after(lasted) for lasted in (60.0, 0.4, 0.9, 1.9, 3.9, 4.9)] == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]


def test_stable_connections_reset_the_backoff_each_time():
    """What lasted four times as long as was waited for it had stood."""
    retries = Retries(5.0)
    assert [retries.after(lasted) for lasted in (3.0, 2.5, 0.0, 4.5)] == [0.5, 0.5, 1.0, 0.5]


def test_no_wait_is_longer_than_the_setting():
    """However short that is."""
    retries = Retries(0.2)
    assert [retries.after(lasted) for lasted in (60.0, 0.0, 60.0)] == [0.2, 0.2, 0.2]
