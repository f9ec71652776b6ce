"""The backoff between connections: short after a stable connection, longer after failures."""

from seve_ingest.mqtt.reconnect import Retries


def test_the_backoff_begins_short_after_a_stable_connection_and_doubles():
    """A broker that restarts is found within a second; one that stays down is tried every five seconds."""
    retries = Retries(5.0)
    assert [retries.after(lasted) for lasted in (60.0, 0.0, 0.0, 0.0, 0.0, 0.0)] == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]


def test_the_longest_wait_applies_until_the_first_connection():
    """Also for a broker that refuses the login."""
    retries = Retries(5.0)
    assert [retries.after(0.0) for _ in range(3)] == [5.0, 5.0, 5.0]


def test_short_connections_do_not_reset_the_backoff():
    """Otherwise two clients with the same id would disconnect each other at the shortest backoff."""
    retries = Retries(5.0)
    assert [retries.after(lasted) for lasted in (60.0, 0.4, 0.9, 1.9, 3.9, 4.9)] == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]


def test_stable_connections_reset_the_backoff_each_time():
    """A connection is stable once it has lasted four times the backoff that preceded it."""
    retries = Retries(5.0)
    assert [retries.after(lasted) for lasted in (3.0, 2.5, 0.0, 4.5)] == [0.5, 0.5, 1.0, 0.5]


def test_no_wait_is_longer_than_the_setting():
    """However short that is."""
    retries = Retries(0.2)
    assert [retries.after(lasted) for lasted in (60.0, 0.0, 60.0)] == [0.2, 0.2, 0.2]
