"""Renders two looks at the stack as the lines of one screen. Pure: knows neither terminal nor clock."""

from typing import Final

from seve_runtime.terminal import visible

from seve_embedded.shared.tables import duration, size, table
from seve_embedded.top import figures
from seve_embedded.top.figures import Look, Samples, rate

SHOWN: Final = 5
"""How many clients, modules, reasons and errors are listed."""

STORED: Final = ('outcome="inserted"', 'outcome="updated"', 'outcome="replaced"', 'outcome="ignored"')
REFUSED: Final = ('outcome="deadletter"', 'outcome="suppressed"')
HEADS: Final = ["hop", "per second", "what", "since start", "waits", "age"]
FORETELL: Final = 0.5
"""Share of its limit from which on a stream's time until it is full is shown: before, one second predicts too
little.
"""


def lines(before: Look, now: Look, mode: str, *, width: int, height: int | None = None) -> list[str]:
    """Return the screen, cut to `width` columns and `height` lines; a height of None cuts no line."""
    parts = [
        f"Sève ({mode})  {now.clock}" + (f"   {len(now.silent)} parts do not answer" if now.silent else ""),
        table("Flow", HEADS, _flow(before, now)),
        table("Streams", ["name", "messages", "size", "limit", "full", "full in"], _streams(before, now)),
        table("Slowest clients", ["address", "pace", "waits", "missed", "behind", "subscriptions"], _clients(now)),
        table("Noisiest modules", ["module", "share", "per second"], _modules(before, now)),
        table("Dead letters", ["service and reason", "kept"], _dead(now)),
        table("Does not answer", ["part", "why"], [[part, visible(why)] for part, why in now.silent.items()]),
        table("Last errors", ["program", "what"], [[program, visible(what)] for program, what in now.errors[-SHOWN:]]),
    ]
    whole = "\n\n".join(part for part in parts if part).split("\n")
    shown = [line if len(line) <= width else f"{line[: width - 1]}…" for line in whole]
    if height is None or len(shown) <= height:
        return shown
    return [*shown[: height - 1], f"… {len(shown) - height + 1} more lines"[:width]]


def _flow(before: Look, now: Look) -> list[list[str]]:
    seconds = now.at - before.at

    def row(name: str, what: str, service: str, metric: str, *labels: str, waits: str = "", age: str = "") -> list[str]:
        after = figures.total(_of(now, service), metric, *labels)
        each = rate(figures.total(_of(before, service), metric, *labels), after, seconds)
        return [name, f"{each:,.0f}", what, f"{after:,.0f}", waits, age]

    ingest, writers, screens = _of(now, "ingest"), _of(now, "writer"), _of(now, "broadcaster")
    unacknowledged = figures.total(ingest, "seve_ingest_unacknowledged_messages")
    outcomes, envelopes = "seve_ingest_outcomes_total", "seve_writer_envelopes_total"
    return [
        row("received", "messages", "ingest", "seve_ingest_received_messages_total"),
        row(
            "acknowledged",
            "messages",
            "ingest",
            outcomes,
            waits=f"{unacknowledged:,.0f}",
            age=_age(figures.largest(ingest, "seve_ingest_oldest_unacknowledged_seconds")),
        ),
        row("refused", "messages", "ingest", outcomes, *REFUSED),
        row(
            "in the journal",
            "envelopes",
            "ingest",
            "seve_ingest_sent_envelopes_total",
            waits=f"{figures.total(ingest, 'seve_ingest_queued_envelopes'):,.0f}",
        ),
        row(
            "stored",
            "envelopes",
            "writer",
            envelopes,
            *STORED,
            waits=f"{now.lag:,}",
            age=_age(figures.largest(writers, "seve_writer_oldest_unwritten_seconds"))
            + _p99(before, now, "writer", "seve_writer_age_at_commit_seconds"),
        ),
        row("refused by it", "envelopes", "writer", envelopes, 'outcome="dead"'),
        row(
            "to screens",
            "frames",
            "broadcaster",
            "seve_broadcaster_sent_frames_total",
            waits=f"{_behind(now, screens):,.0f}",
            age=_p99(before, now, "broadcaster", "seve_broadcaster_age_at_frame_seconds").lstrip(", "),
        ),
    ]


def _of(look: Look, service: str) -> list[Samples]:
    return look.services.get(service, [])


def _behind(now: Look, screens: list[Samples]) -> float:
    """Return how many messages of the journal the slowest broadcaster has not received."""
    last = next((stream.last for stream in now.streams if stream.name == "TELEMETRY"), 0)
    heads = [one.get("seve_broadcaster_head_sequence", 0.0) for one in screens]
    return max(0.0, last - min(heads)) if heads else 0.0


def _p99(before: Look, now: Look, service: str, metric: str) -> str:
    found = figures.quantile(_of(before, service), _of(now, service), metric, 0.99)
    if found is None:
        return ""
    return ", p99 > every bound" if found == float("inf") else f", p99 < {_age(found)}"


def _age(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 60 else duration(seconds)


def _streams(before: Look, now: Look) -> list[list[str]]:
    earlier = {stream.name: stream.size for stream in before.streams}
    rows = []
    for stream in now.streams:
        share = stream.size / stream.limit if stream.limit > 0 else 0.0
        shown = [size(stream.limit), f"{100 * share:.0f} %"] if stream.limit > 0 else ["-", "-"]
        growth = rate(earlier.get(stream.name, stream.size), stream.size, now.at - before.at)
        foretold = share >= FORETELL and earlier.get(stream.name, 0) < stream.size
        left = duration((stream.limit - stream.size) / growth) if foretold and growth > 0 else "-"
        rows.append([stream.name, f"{stream.messages:,}", size(stream.size), *shown, left])
    return rows


def _clients(now: Look) -> list[list[str]]:
    busy = [one for one in now.clients if one.queue_bytes or one.missed or one.behind or one.pace != "live"]
    return [
        [
            visible(one.address),
            one.pace,
            size(one.queue_bytes),
            f"{one.missed:,}",
            f"{one.behind:,}",
            str(one.subscriptions),
        ]
        for one in busy[:SHOWN]
    ]


def _modules(before: Look, now: Look) -> list[list[str]]:
    sent = "seve_ingest_sent_envelopes_total"
    earlier, later = figures.total(_of(before, "ingest"), sent), figures.total(_of(now, "ingest"), sent)
    each = rate(earlier, later, now.at - before.at)
    return [
        [visible(name), f"{100 * share:.0f} %", f"~{share * each:,.0f}"]
        for name, share in figures.shares(now.modules, SHOWN)
    ]


def _dead(now: Look) -> list[list[str]]:
    ordered = sorted(now.dead.items(), key=lambda pair: -pair[1])
    return [[visible(subject.removeprefix("deadletter.")), f"{count:,}"] for subject, count in ordered[:SHOWN]]
