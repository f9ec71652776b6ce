"""Every scenario runs, with parameters so small that its figures mean nothing, and leaves what a reader can read."""

import json
from xml.etree import ElementTree as ET

import pytest

from bench import __main__ as command
from bench import limits, pipeline
from bench.plot import Axis, line_plot, panels
from bench.scenarios import SCENARIOS
from bench.table import Column, table

TINY = {
    "latency": ("RATES=200 400", "SECONDS=1"),
    "throughput": ("START=200", "MOST=200", "SECONDS=1", "PROBE=1", "MODULES=5"),
    "fleet": ("RATE=300", "SECONDS=1", "MODULES=50", "FORMS=timed"),
    "connections": ("CONNECTIONS=20", "RATE=300", "SECONDS=1"),
    "storm": ("DEVICES=20", "RATE=100", "SECONDS=1", "BROKERS=nats"),
    "backlog": ("ROWS=2000", "FORMS=bare"),
    "normalise": ("ROWS=200",),
    "drain": ("ROWS=2000",),
    "writers": ("ROWS=2000", "WRITERS=2"),
    "fanout": ("CLIENTS=5", "FRAMES=500", "SECONDS=1"),
    "history": ("DAYS=1", "OTHERS=10", "QUESTIONS=1", "RANGES=1d"),
    "idle": ("SECONDS=1",),
    "sync": ("INTERVALS=always", "RATES=200", "SECONDS=1"),
    "neighbours": ("TIMES=0 2", "INVENT=1", "STUCK=1", "RATE=200", "MODULES=5", "SECONDS=1"),
    "hostile": ("NAMES=200", "CLIENTS=5", "CONNECTIONS=20", "RATE=200", "SECONDS=1"),
    "soak": ("HOURS=0.001", "RATE=200", "MODULES=20", "DAYS=1", "KILL_EVERY=2", "VISITORS=1", "SEED=6"),
}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """The command, with short flushes and without raw limits."""
    monkeypatch.setitem(pipeline.SETTINGS, "FLUSH_INTERVAL", "200ms")
    monkeypatch.setattr(limits, "measure", lambda name, _: {"of": len(name)})

    def run(*arguments):
        assert command.main([*arguments, f"OUT={tmp_path}"]) == 0
        (found,) = tmp_path.glob("*.json")
        return json.loads(found.read_text()), ET.parse(found.with_suffix(".svg")).getroot()

    return run


def test_every_scenario_has_a_tiny_form():
    assert set(TINY) == set(SCENARIOS)


@pytest.mark.bench
@pytest.mark.parametrize("name", TINY)
def test_a_scenario_leaves_its_result(run, name):
    result, drawing = run(f"SCENARIO={name}", *TINY[name])
    assert (result["scenario"], drawing.tag) == (name, "{http://www.w3.org/2000/svg}svg")
    assert result["rows"]
    assert all(row.get("rows_missing", 0) == row.get("rows_twice", 0) == 0 for row in result["rows"])
    assert all(row.get("frames_missing", 0) == row.get("frames_twice", 0) == 0 for row in result["rows"])


@pytest.mark.bench
@pytest.mark.parametrize("name", limits.LIMITS)
def test_a_raw_limit_is_measured(name):
    assert limits.measure(name, 0.2)["per_second"] > 0


def test_a_scenario_that_does_not_exist_is_named(capsys):
    assert command.main(["SCENARIO=speed"]) == 2
    assert "SCENARIO=speed: there is latency, throughput" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("word", "says"),
    [("RATE=5", "no such option: RATE; there is RATES"), ("SECONDS=x", "SECONDS=x: like 10, please"), ("x", "NAME=")],
)
def test_an_option_that_does_not_fit_is_named(capsys, word, says):
    assert command.main(["SCENARIO=latency", word]) == 2
    assert says in capsys.readouterr().err


def test_the_help_lists_every_scenario(capsys):
    assert command.main(["SCENARIO=help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"\n{name} " in f"\n{shown}" for name in SCENARIOS)


def test_a_plot_leaves_out_what_has_no_value():
    drawn = line_plot("a < b", Axis("x", log=True), Axis("y", log=True), {"one": [(1, 2.0), (10, None), (100, 0.0)]})
    assert len(ET.fromstring(drawn).findall("{*}circle")) == 1


def test_a_plot_of_nothing_is_a_plot():
    assert ET.fromstring(line_plot("none", Axis("x"), Axis("y"), {})).tag.endswith("svg")


def test_panels_show_each_plot_and_each_mark():
    shown = [(Axis("one"), {"a": [(0, 1.0), (1, None), (2, 2.0)]}), (Axis("two", log=True), {"b": [(0, 1.0)]})]
    drawn = ET.fromstring(panels("t", Axis("minutes"), shown, [(1, "kill < nats")]))
    words = [text.text for text in drawn.findall("{*}text")]
    assert {"one", "two", "a", "b", "kill < nats", "minutes"} <= set(words)


def test_a_wide_table_goes_on_below_its_first_column():
    columns = [Column("key", "key"), *(Column(f"column {n}", f"deep.{n}", 1) for n in range(12))]
    text = table([*columns, Column("absent", "absent")], [{"key": "k", "deep": {str(n): n for n in range(12)}}])
    first, second = text.split("\n\n")
    assert [block.splitlines()[1].split()[0] for block in (first, second)] == ["k", "k"]
    assert "absent" not in text
