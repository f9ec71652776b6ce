"""Logs for people."""

import json

from seve_embedded.commands.logs import LogTail
from seve_embedded.shared import logfile


def test_a_json_line_is_put_into_words():
    """Time, level and event first, then the other fields, without the service's name, which precedes the line."""
    line = json.dumps(
        {"event": "nats connected", "level": "info", "timestamp": "2025-11-30T19:00:00.123456Z", "service": "writer"}
        | {"server": "127.0.0.1:4222", "reason": "two words"}
    )
    assert logfile.readable(line) == '19:00:00.123 info    nats connected server=127.0.0.1:4222 reason="two words"'


def test_a_line_of_another_program_stays_as_it_is():
    """Also if it only looks like JSON."""
    for line in ("LOG:  database system is ready", "{half", "[1]"):
        assert logfile.readable(line) == line


def test_no_log_line_sends_control_characters_to_the_terminal():
    """Neither a line of ours with a topic in it, nor a server's with the name of a client."""
    event = '{"event":"odd\\u001b[2J","level":"error","topic":"a\\u009b31m","timestamp":"2026-01-01T10:11:12.345678Z"}'
    assert logfile.readable(event) == "10:11:12.345 error   odd\\u001b[2J topic=a\\u009b31m"
    assert logfile.readable('[1] mid:7 - "odd\x1b[2J" - error') == '[1] mid:7 - "odd\\u001b[2J" - error'


def test_only_errors_are_errors(tmp_path):
    """The last ones, oldest first; a missing log has none."""
    path = tmp_path / "writer.log"
    levels = ["error", "info", "error", "critical", "warning"]
    path.write_text("".join(json.dumps({"event": str(n), "level": level}) + "\n" for n, level in enumerate(levels)))
    assert [event["event"] for event in logfile.errors(path, 2)] == ["2", "3"]
    assert list(logfile.errors(tmp_path / "none.log", 2)) == []


def test_follows_a_log_through_its_rotation(tmp_path):
    """Lines are complete, none is missed when the file is renamed, and none is shown twice."""
    path = tmp_path / "nats.log"
    path.write_text("before\n")
    log = LogTail(path)
    with path.open("a") as file:
        file.write("one\nhal")
    assert log.new_lines() == ["one"]
    with path.open("a") as file:
        file.write("f\n")
    assert log.new_lines() == ["half"]
    path.rename(tmp_path / "nats.log.1")
    assert log.new_lines() == []
    path.write_text("two\n")
    assert log.new_lines() == ["two"]
    assert log.new_lines() == []
