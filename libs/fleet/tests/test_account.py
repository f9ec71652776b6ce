"""The account closes if every sample arrived everywhere, and names the missing samples otherwise."""

from seve_fleet.simulate.account import Account
from seve_fleet.simulate.report import Viewing, closing

STEADY = Viewing(1, [])
A, B = ("serre/co2", 1_764_500_000_000_000), ("serre/light", 1_764_500_000_000_001)


def test_samples_that_were_acknowledged_and_seen_are_no_fault():
    account = Account()
    account.send(A)
    account.acknowledge(A)
    account.see(A, A[1] + 2000)
    assert (account.sent, account.acknowledged, account.seen, account.faults()) == (1, 1, 1, [])
    assert account.settled()


def test_missing_samples_are_named():
    """By topic and time, so that they can be looked for."""
    account = Account()
    account.send(A)
    account.send(B)
    account.acknowledge(A)
    account.see(B, B[1])
    assert account.faults() == [
        "1 samples never acknowledged by the broker: serre/light at 2025-11-30T10:53:20.000001Z",
        "1 samples never seen on the WebSocket: serre/co2 at 2025-11-30T10:53:20.000000Z",
    ]


def test_a_repetition_does_not_hide_a_loss():
    """Counts alone would agree."""
    account = Account()
    account.send(A)
    account.send(B)
    account.see(A, A[1])
    account.see(A, A[1])
    assert (account.seen, account.repeated) == (1, 1)


def test_a_declared_gap_ends_the_wait_for_frames():
    """Frames that the broadcaster declared lost need not be waited for."""
    account = Account()
    account.send(A)
    account.acknowledge(A)
    assert (account.settled(), account.settled(gaps=True)) == (False, True)


def test_a_sample_nobody_sent_is_a_fault():
    account = Account()
    account.see(A, A[1])
    assert account.faults() == ["1 samples on the WebSocket that this run never sent"]


def test_samples_without_a_row_are_named():
    account = Account()
    account.send(A)
    account.send(B)
    assert account.unstored([A]) == [B]


def test_a_report_that_never_arrived_is_a_fault():
    account = Account()
    account.reports_sent, account.reports_acknowledged, account.reports_seen = 3, 3, 2
    assert account.faults() == ["1 reports never seen on the WebSocket"]


def test_latency_is_from_the_time_of_the_sample_to_its_frame():
    account = Account()
    for n in range(100):
        account.send(("serre/co2", n))
        account.see(("serre/co2", n), n + 1000 * (n + 1))
    assert account.latency() == (0.051, 0.1, 0.1)


def test_the_last_lines_say_whether_the_account_closes():
    account = Account()
    account.send(A)
    account.acknowledge(A)
    account.see(A, A[1] + 1500)
    assert "samples   sent 1 = acknowledged 1 = stored 1 = seen 1" in closing(account, 1, 2.0, STEADY, [])
    assert closing(account, 1, 2.0, STEADY, [])[-1] == "the account closes"
    assert closing(account, 0, 2.0, STEADY, ["1 is missing"])[-2:] == ["THE ACCOUNT DOES NOT CLOSE", "  1 is missing"]


def test_a_declared_gap_is_shown_although_the_account_closes():
    account = Account()
    lines = closing(account, 0, 2.0, Viewing(2, ["gap from 1-2-0 to 1-3-0"]), [])
    assert "declared  gap from 1-2-0 to 1-3-0" in lines
    assert lines[-1] == "the account closes"
