"""The scenarios by name; `all` of them, short, is what `make bench` runs without a name."""

from bench.scenario import Scenario
from bench.scenarios import (
    backlog,
    connections,
    drain,
    fanout,
    fleet,
    history,
    hostile,
    idle,
    latency,
    neighbours,
    normalise,
    soak,
    storm,
    sync,
    throughput,
    writers,
)

SCENARIOS: dict[str, Scenario] = {
    "latency": latency.SCENARIO,
    "throughput": throughput.SCENARIO,
    "fleet": fleet.SCENARIO,
    "connections": connections.SCENARIO,
    "storm": storm.SCENARIO,
    "backlog": backlog.SCENARIO,
    "normalise": normalise.SCENARIO,
    "drain": drain.SCENARIO,
    "writers": writers.SCENARIO,
    "fanout": fanout.SCENARIO,
    "history": history.SCENARIO,
    "idle": idle.SCENARIO,
    "sync": sync.SCENARIO,
    "neighbours": neighbours.SCENARIO,
    "hostile": hostile.SCENARIO,
    "soak": soak.SCENARIO,
}
