"""Formats the progress line of a run and its account at the end. Pure."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from seve_fleet.simulate.account import Account, Latency

RECENT: Final = 2000
"""Number of newest samples whose latency the progress line shows: few enough to be sorted while frames arrive."""


def progress(account: Account, elapsed: float, stored: str) -> str:
    """Return the line of progress."""
    latency = account.latency(newest=RECENT)
    shown = f"  p50 {_ms(latency.p50)}  p99 {_ms(latency.p99)}" if latency else ""
    return (
        f"{elapsed:4.0f} s  sent {account.sent}  acknowledged {account.acknowledged}"
        f"  stored {stored}  seen {account.seen}{shown}"
    )


class Viewing(NamedTuple):
    """The WebSocket's connections and the gaps that the broadcaster declared.

    A declared gap is no fault by itself: samples of a missed journal message may have arrived in a later one.
    """

    connections: int
    gaps: Sequence[object]


def closing(account: Account, stored: int | None, seconds: float, screen: Viewing, faults: Sequence[str]) -> list[str]:
    """Return the lines of the account; the last ones say whether it closes."""
    shown = "?" if stored is None else str(stored)
    link = ", " if faults else " = "
    samples = [
        f"sent {account.sent}",
        f"acknowledged {account.acknowledged}",
        f"stored {shown}",
        f"seen {account.seen}",
    ]
    reports = f"sent {account.reports_sent}, acknowledged {account.reports_acknowledged}, seen {account.reports_seen}"
    latency = account.latency()
    lines = ["", f"samples   {link.join(samples)}", f"reports   {reports}"]
    if account.clockless_sent:
        lines.append(f"QoS 0     sent {account.clockless_sent}, seen {account.clockless_seen} (nothing is promised)")
    if account.repeated:
        lines.append(f"repeated  {account.repeated} frames came twice")
    lines.append(f"latency   {_latency(latency) if latency else 'nothing was seen'}")
    lines.append(
        f"rate      {account.sent / seconds:.0f} samples per second; WebSocket connections made: {screen.connections}"
    )
    lines.extend(f"declared  {gap}" for gap in screen.gaps)
    if not faults:
        return [*lines, "the account closes"]
    return [*lines, "THE ACCOUNT DOES NOT CLOSE", *(f"  {fault}" for fault in faults)]


def _latency(latency: Latency) -> str:
    return f"publish to WebSocket frame: p50 {_ms(latency.p50)}, p99 {_ms(latency.p99)}, longest {_ms(latency.longest)}"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"
