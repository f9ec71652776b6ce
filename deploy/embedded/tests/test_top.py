"""The screen of `top`, from values to lines."""

from seve_embedded.top import figures, screen, terminal
from seve_embedded.top.figures import ClientFigures, Look, Stream, parse

INGEST = """# HELP seve_ingest_received_messages_total MQTT messages received
# TYPE seve_ingest_received_messages_total counter
seve_ingest_received_messages_total {received}
seve_ingest_outcomes_total{{outcome="published",reason=""}} {received}
seve_ingest_outcomes_total{{outcome="deadletter",reason="malformed"}} 4.0
seve_ingest_outcomes_total{{outcome="suppressed",reason="malformed"}} 3.0
seve_ingest_sent_envelopes_total {received}
seve_ingest_oldest_unacknowledged_seconds 0.25
seve_ingest_unacknowledged_messages 2.0
"""
WRITER = """seve_writer_envelopes_total{{outcome="inserted"}} {stored}
seve_writer_envelopes_total{{outcome="dead"}} 1.0
seve_writer_oldest_unwritten_seconds 75
seve_writer_age_at_commit_seconds_bucket{{le="0.5"}} {early}
seve_writer_age_at_commit_seconds_bucket{{le="5.0"}} {stored}
seve_writer_age_at_commit_seconds_bucket{{le="+Inf"}} {stored}
"""


def look(at, received=0, stored=0, early=0, **more):
    services = {
        "ingest": [parse(INGEST.format(received=received))],
        "writer": [parse(WRITER.format(stored=stored / 2, early=early / 2))] * 2,
        "broadcaster": [{"seve_broadcaster_head_sequence": 90.0, "seve_broadcaster_sent_frames_total": 10.0}],
    }
    return Look(at=at, clock="12:00:00", services=services, **more)


def row(lines, name):
    [line] = [line for line in lines if line.strip().startswith(name)]
    return line.split()


def test_rates_and_sums_are_those_between_two_looks_over_all_processes():
    before = look(10, received=1000, stored=800, early=800)
    now = look(12, received=3000, stored=2800, early=1000, lag=200, streams=[Stream("TELEMETRY", 100, 1, 10, 100)])
    lines = screen.lines(before, now, "embedded", width=200)
    assert lines[0] == "Sève (embedded)  12:00:00"
    assert row(lines, "received") == ["received", "1,000", "messages", "3,000"]
    assert row(lines, "acknowledged") == ["acknowledged", "1,000", "messages", "3,007", "2", "250", "ms"]
    assert row(lines, "refused  ") == ["refused", "0", "messages", "7"]
    stored = ["stored", "1,000", "envelopes", "2,800", "200", "1m", "15s,", "p99", "<", "5.0", "s"]
    assert row(lines, "stored") == stored
    assert row(lines, "refused by it") == ["refused", "by", "it", "0", "envelopes", "2"]
    assert row(lines, "to screens") == ["to", "screens", "0", "frames", "10", "10"]


def test_a_restarted_process_counts_from_zero():
    assert figures.rate(1000, 30, 2) == 15
    assert figures.rate(5, 5, 0) == 0


def test_a_quantile_is_of_what_came_between_the_looks():
    early, late = [parse(WRITER.format(stored=100, early=100))], [parse(WRITER.format(stored=200, early=198))]
    name = "seve_writer_age_at_commit_seconds"
    assert figures.quantile(early, late, name, 0.5) == 0.5
    assert figures.quantile(early, late, name, 0.99) == 5.0
    assert figures.quantile(late, late, name, 0.99) is None
    assert figures.quantile(
        [], [{f'{name}_bucket{{le="1.0"}}': 0.0, f'{name}_bucket{{le="+Inf"}}': 3.0}], name, 0.5
    ) == (float("inf"))


def test_a_stream_that_fills_is_told_when_it_will_be_full():
    before = look(0, streams=[Stream("TELEMETRY", 1, 500, 1000, 1), Stream("LATEST", 1, 10, 1000, 1)])
    now = look(1, streams=[Stream("TELEMETRY", 1, 510, 1000, 1), Stream("LATEST", 1, 20, 1000, 1)])
    lines = screen.lines(before, now, "embedded", width=200)
    assert row(lines, "TELEMETRY")[-3:] == ["51", "%", "49s"]
    assert row(lines, "LATEST")[-3:] == ["2", "%", "-"]


def test_only_clients_that_lag_are_slow_and_names_steer_no_terminal():
    clients = [ClientFigures("10.0.0.1", "live", 0, 0, 0, 1), ClientFigures("10.0.0.2", "slow", 2048, 7, 9, 1)]
    now = look(1, received=100, clients=clients, modules={"a\x1b[2J": 3, "b": 1}, dead={"deadletter.ingest.too_old": 2})
    lines = screen.lines(look(0), now, "embedded", width=200)
    assert row(lines, "10.0.0.2") == ["10.0.0.2", "slow", "2.0", "KiB", "7", "9", "1"]
    text = "\n".join(lines)
    assert "10.0.0.1" not in text
    assert "\x1b" not in text
    assert row(lines, "b ") == ["b", "25", "%", "~25"]
    assert row(lines, "ingest.too_old") == ["ingest.too_old", "2"]


def test_a_part_that_does_not_answer_is_named_and_the_rest_is_shown():
    silent = {"writer-2": "Connection refused", "nats": "no servers"}
    lines = screen.lines(look(0), look(1, silent=silent, errors=[("ingest", "mqtt: refused")]), "Docker", width=200)
    assert lines[0].endswith("2 parts do not answer")
    assert row(lines, "writer-2") == ["writer-2", "Connection", "refused"]
    assert row(lines, "ingest   mqtt") == ["ingest", "mqtt:", "refused"]
    assert screen.lines(Look(at=0, clock=""), Look(at=0, clock=""), "embedded", width=80)


def test_the_screen_is_cut_to_the_terminal():
    lines = screen.lines(look(0), look(1, silent={"nats": "x" * 300}), "embedded", width=60, height=8)
    assert len(lines) == 8
    assert max(map(len, lines)) <= 60
    assert lines[-1].endswith("more lines")


def test_lines_are_drawn_over_those_before():
    assert terminal.drawn(["a", "b"]) == "\x1b[Ha\x1b[K\r\nb\x1b[K\x1b[J"
