"""The closing account as a value: what is missing has a name, and it survives the way through a file."""

import msgspec
from seve_fleet.simulate.result import Outcome, outcome
from seve_fleet.simulate.tally import Account
from seve_fleet.simulate.ws import Missed, Screen

A, B, C = ("serre/co2", 1), ("serre/light", 2), ("serre/co2", 3)
GAP = Missed("gap", "1-1-0", "1-5-0", "serre", "measurement")


def drawn(keys):
    account, screen = Account(), Screen("ws://nowhere", lambda *_: None, modules=["*"])
    for key in (A, B):
        account.send(key)
    account.acknowledge(A)
    account.see(A, 5)
    account.see(A, 6)
    account.reports_sent, account.reports_acknowledged, account.reports_seen = 3, 2, 5
    screen.gaps.append(GAP)
    return outcome(account, screen, keys, [], None)


def test_what_is_missing_is_named_and_what_is_strange_counted():
    told = drawn([A, C])
    assert (told.sent, told.acknowledged, told.seen, told.repeated) == (2, 1, 1, 1)
    assert (told.unstored, told.unseen, told.strange) == ([B], [B], 1)
    assert (told.reports_unacknowledged, told.reports_unseen) == (1, 0)


def test_it_is_the_same_after_a_file():
    """Samples and gaps come back as what they were."""
    told = drawn([A])
    assert told == msgspec.json.decode(msgspec.json.encode(told), type=Outcome)


def test_a_gap_is_told_with_what_it_is_limited_to():
    assert str(GAP) == "gap from 1-1-0 to 1-5-0, serre's measurement only"
    assert str(GAP._replace(module=None, kind=None)) == "gap from 1-1-0 to 1-5-0"
