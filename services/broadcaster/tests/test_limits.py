"""Limits as values: rates, sockets, and the names in subscriptions."""

import pytest
from seve_broadcaster.fanout.subscriber import Subscription
from seve_broadcaster.protocol.requests import Refusal, Subscribe
from seve_broadcaster.websocket.limits import Rate, Sockets, check_names


def allowed(rate, now, tries=1000):
    return sum(rate.allows(now) for _ in range(tries))


def test_a_rate_allows_its_burst_and_then_so_many_per_second():
    """The burst is never more than saved up, however long nothing was sent."""
    rate = Rate(10, 100, 0.0)
    assert allowed(rate, 0.0) == 100
    assert allowed(rate, 1.0) == 10
    assert allowed(rate, 10_000.0) == 100
    assert allowed(rate, 10_000.05) == 0


def test_sockets_are_counted_in_total_and_per_address():
    """Who is gone makes room; who was refused was never there."""
    sockets = Sockets(3, 2)
    assert [sockets.admits(address) for address in "aaabb"] == [True, True, False, True, False]
    assert sockets.open == 3
    sockets.gone("a")
    assert sockets.admits("b")
    assert not sockets.admits("a")
    for address in "abb":
        sockets.gone(address)
    assert (sockets.open, len(sockets._of)) == (0, 0)


def asked(*modules, sensors=None):
    return Subscribe(modules=frozenset(modules), sensors=None if sensors is None else frozenset(sensors))


def test_the_names_of_all_subscriptions_together_are_bounded():
    """Modules, and each set of sensors once; what is asked for anew replaces what it was."""
    held = {"aaaa": Subscription(frozenset({"ssss"})), "bbbb": Subscription()}
    check_names(held, asked("cccc"), most=16)
    with pytest.raises(Refusal, match="too_many"):
        check_names(held, asked("cccc", "d"), most=16)
    check_names(held, asked("aaaa", sensors=["tttt"]), most=12)
    with pytest.raises(Refusal, match="too_many"):
        check_names(held, asked("éé"), most=15)
