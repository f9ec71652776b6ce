"""The output of a tap is bounded in width and in messages per second, and has the number of messages left out."""

import argparse

import pytest
from seve_runtime import tap


def options(*words):
    parser = argparse.ArgumentParser()
    tap.arguments(parser, ["mqtt", "dead"])
    return parser.parse_args(words)


def screen(now, *words):
    output = []
    return tap.Printer(options(*words), output.append, lambda: now[0]), output


def test_a_tap_is_at_the_first_place_unless_another_is_named():
    assert (options().at, options("--at", "dead").at) == ("mqtt", "dead")
    assert options("--module", "a", "--module", "b").module == ["a", "b"]


@pytest.mark.parametrize("rate", ["0", "-1", "many", "1e9"])
def test_a_rate_that_is_no_number_or_out_of_range_is_refused(rate, capsys):
    with pytest.raises(SystemExit):
        options("--rate", rate)
    assert "messages per second, more than 0 and at most 10000" in capsys.readouterr().err


def test_lines_are_cut_and_have_no_control_characters():
    printer, output = screen([0.0], "--width", "12")
    printer.show(["a\x1b[2J", "something long"])
    assert output == ["a\\u001b[2J", "    somethi…"]


def test_messages_above_the_rate_are_counted_and_the_number_is_shown():
    now = [0.0]
    printer, output = screen(now, "--rate", "2")
    for number in range(10):
        if printer.room():
            printer.show([str(number)])
    printer.missed(3)
    now[0] = 0.5
    assert printer.room()
    printer.show(["later"])
    assert output == ["0", "1", "… 11 more, not shown (at most 2 per second: --rate)", "later"]


def test_a_tap_ends_after_the_requested_number_of_messages():
    printer, output = screen([0.0], "--count", "2")
    printer.show(["one"])
    with pytest.raises(tap.Enough):
        printer.show(["two"])
    assert output == ["one", "two"]
