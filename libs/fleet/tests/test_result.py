"""The closing account as a value: it names missing samples, and survives being written to a file."""

import msgspec
from seve_fleet.simulate.account import Account
from seve_fleet.simulate.result import Outcome, outcome
from seve_fleet.simulate.ws import Missed, Screen

A, B, C = ("serre/co2", 1), ("serre/light", 2), ("serre/co2", 3)
GAP = Missed("gap", "1-1-0", "1-5-0")


def drawn(keys):
    account, screen = Account(), Screen("ws://nowhere", lambda *_: None, modules=["*"])
    for key in (A, B):
        account.send(key)
    account.acknowledge(A)
    account.see(A, 5)
    account.see(A, 6)
    account.reports_sent, account.reports_acknowledged, account.reports_seen = 3, 2, 5
    screen.gaps.append(GAP)
    return outcome(account, screen, keys, [], None, run="sim")


def test_missing_samples_are_named_and_strange_rows_counted():
    result = drawn([A, C])
    assert (result.sent, result.acknowledged, result.seen, result.repeated) == (2, 1, 1, 1)
    assert (result.unstored, result.unseen, result.strange) == ([B], [B], 1)
    assert (result.reports_unacknowledged, result.reports_unseen) == (1, 0)


def test_an_outcome_survives_a_file():
    """Samples and gaps are decoded as they were encoded."""
    result = drawn([A])
    assert result == msgspec.json.decode(msgspec.json.encode(result), type=Outcome)


def test_a_gap_reads_as_its_range():
    assert str(GAP) == "gap from 1-1-0 to 1-5-0"
