"""`make bench [SCENARIO=name] [NAME=value ...]`: scenarios, their tables, and their results as JSON and SVG.

Without a scenario each runs in its short form; `SCENARIO=help` lists them with their options. Results go to
`bench-results/`, named by time and scenario.
"""

import json
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from bench import limits
from bench.measure import machine
from bench.options import Options, words
from bench.plot import line_plot, panels
from bench.scenario import Bench, Panels, Plot, Scenario
from bench.scenarios import SCENARIOS
from bench.table import figure, table

OUT = "bench-results"
LIMIT_SECONDS = 2.0
LIMIT_TAKES = 6.0
"""What a limit takes with the start of its server, about."""


def main(arguments: list[str]) -> int:
    """Run what is asked for; 2 where that cannot be understood."""
    try:
        asked = words(arguments)
        name, out = asked.pop("SCENARIO", ""), Path(asked.pop("OUT", OUT))
        if name == "help":
            print(listing())
            return 0
        plans = {name: options(SCENARIOS[name], asked)} if name else brief(asked)
    except KeyError as error:
        print(f"SCENARIO={error.args[0]}: there is {', '.join(SCENARIOS)}", file=sys.stderr)
        return 2
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    times = {each: SCENARIOS[each].seconds(chosen) for each, chosen in plans.items()}
    needed = {limit for each in plans for limit in SCENARIOS[each].limits}
    total = sum(times.values()) + len(needed) * LIMIT_TAKES
    print(f"{', '.join(plans)}: about {total / 60:.1f} minutes in all", file=sys.stderr)
    known: dict[str, dict] = {}
    for each, chosen in plans.items():
        show(each, perform(each, chosen, times[each], known), out)
    return 0


def options(scenario: Scenario, asked: dict[str, str]) -> Options:
    """The scenario's options. Raises ValueError."""
    return Options(scenario.defaults, asked)


def brief(asked: dict[str, str]) -> dict[str, Options]:
    """Every scenario in its short form. Raises ValueError for any option: it would not say which scenario it is for."""
    if asked:
        raise ValueError(f"{', '.join(asked)}: with SCENARIO= only")
    return {name: Options({**scenario.defaults, **scenario.brief}, {}) for name, scenario in SCENARIOS.items()}


def perform(name: str, chosen: Options, seconds: float, known: dict[str, dict]) -> dict:
    """One scenario: its result, as it goes into JSON. `known` has the raw limits that were measured before it."""
    scenario = SCENARIOS[name]
    seconds += LIMIT_TAKES * sum(limit not in known for limit in scenario.limits)
    with tempfile.TemporaryDirectory(prefix="seve-bench-") as folder:
        bench = Bench(name, chosen, Path(folder), seconds)
        result = {"scenario": name, "at": datetime.now(UTC).isoformat(timespec="seconds"), "machine": machine()}
        result |= {"options": chosen.values, "command": command(name, chosen), "limits": {}}
        for limit in scenario.limits:
            if limit not in known:
                bench.say(f"the raw limit: {limit}")
                known[limit] = limits.measure(limit, LIMIT_SECONDS)
            result["limits"][limit] = known[limit]
        began = time.monotonic()
        result["rows"] = scenario.run(bench)
        result |= {"summary": bench.summary, "records": bench.records, "events": bench.events}
        return result | {"took_s": time.monotonic() - began}


def command(name: str, chosen: Options) -> str:
    """What repeats it."""
    given = []
    for key, value in chosen.values.items():
        text = " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
        given.append(f'{key}="{text}"' if " " in text else f"{key}={text}")
    return f"make bench SCENARIO={name} {' '.join(given)}"


def show(name: str, result: dict, out: Path) -> None:
    """Print the table; write JSON and SVG."""
    scenario = SCENARIOS[name]
    out.mkdir(parents=True, exist_ok=True)
    stem = out / f"{result['at'][:19].replace(':', '')}-{name}"
    stem.with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n")
    stem.with_suffix(".svg").write_text(drawing(scenario.plot, result))
    print(f"\n{name}: {scenario.about}\n{table(scenario.columns, result['rows'])}")
    for title, value in result["summary"].items():
        print(f"  {title}: {value:,.1f}")
    for limit, found in result["limits"].items():
        shown = (f"{key} {value:,.1f}" for key, value in _flat(found))
        print(f"  raw limit, {limit}: {', '.join(shown)}")
    print(f"  {result['command']}\n  {stem}.json, .svg\n", flush=True)


def drawing(plot: Plot | Panels, result: dict) -> str:
    """The result as SVG."""
    title = f"{result['scenario']}, {result['machine']['cores']} cores, {result['at'][:10]}"
    if isinstance(plot, Plot):
        return line_plot(title, plot.across, plot.up, _lines(plot.x, plot.series, result["rows"]))
    shown = [(up, _lines(plot.x, series, result["records"])) for up, series in plot.plots]
    return panels(title, plot.across, shown, [(event["minute"], event["what"]) for event in result["events"]])


def _lines(x: str, series: Mapping[str, str], rows: list[dict]) -> dict[str, list]:
    """A line of points for each series that has any value."""
    lines = {name: [(figure(row, x), figure(row, key)) for row in rows] for name, key in series.items()}
    return {name: line for name, line in lines.items() if any(value is not None for _, value in line)}


def _flat(found: dict, prefix: str = "") -> list[tuple[str, float]]:
    pairs = []
    for key, value in found.items():
        pairs += _flat(value, f"{key}.") if isinstance(value, dict) else [(prefix + key, value)]
    return pairs


def listing() -> str:
    """Scenarios and their options, with defaults."""
    lines = []
    for name, scenario in SCENARIOS.items():
        lines.append(f"{name:<12} {scenario.about}")
        lines.append(f"{'':<12} {command(name, Options(scenario.defaults, {})).split(' ', 3)[3]}\n")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
