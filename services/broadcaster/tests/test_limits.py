"""Limits on sockets and on the names in subscriptions."""

import pytest
from seve_broadcaster.fanout.subscriber import Subscription
from seve_broadcaster.protocol.requests import Refusal, Subscribe
from seve_broadcaster.websocket.limits import Sockets, check_names


def test_sockets_are_counted_in_total_and_per_address():
    """A closed socket makes room; a refused one never counted."""
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
    """Names of modules, and each set of sensors once; a repeated subscription replaces the earlier one."""
    held = {"aaaa": Subscription(frozenset({"ssss"})), "bbbb": Subscription()}
    check_names(held, asked("cccc"), most=16)
    with pytest.raises(Refusal, match="too_many"):
        check_names(held, asked("cccc", "d"), most=16)
    check_names(held, asked("aaaa", sensors=["tttt"]), most=12)
    with pytest.raises(Refusal, match="too_many"):
        check_names(held, asked("éé"), most=15)
