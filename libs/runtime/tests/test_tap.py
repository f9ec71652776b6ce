"""What a tap shows is bounded in width and in messages per second, and what is left out is told."""

import argparse

import pytest
from seve_runtime import tap


def options(*words):
    parser = argparse.ArgumentParser()
    tap.arguments(parser, ["mqtt", "dead"])
    return parser.parse_args(words)


def screen(now, *words):
    said = []
    return tap.Printer(options(*words), said.append, lambda: now[0]), said


def test_it_is_put_at_the_first_place_unless_another_is_named():
    assert (options().at, options("--at", "dead").at) == ("mqtt", "dead")
    assert options("--module", "a", "--module", "b").module == ["a", "b"]


@pytest.mark.parametrize("rate", ["0", "-1", "many", "1e9"])
def test_a_rate_that_is_none_is_refused(rate, capsys):
    with pytest.raises(SystemExit):
        options("--rate", rate)
    assert "messages per second" in capsys.readouterr().err


def test_lines_are_cut_and_steer_no_terminal():
    shown, said = screen([0.0], "--width", "12")
    shown.show(["a\x1b[2J", "something long"])
    assert said == ["a\\u001b[2J", "    somethi…"]


def test_what_comes_too_fast_is_counted_and_told():
    now = [0.0]
    shown, said = screen(now, "--rate", "2")
    for number in range(10):
        if shown.room():
            shown.show([str(number)])
    shown.missed(3)
    now[0] = 0.5
    assert shown.room()
    shown.show(["later"])
    assert said == ["0", "1", "… 11 more, not shown (at most 2 per second: --rate)", "later"]


def test_it_ends_after_as_many_as_were_asked_for():
    shown, said = screen([0.0], "--count", "2")
    shown.show(["one"])
    with pytest.raises(tap.Enough):
        shown.show(["two"])
    assert said == ["one", "two"]
