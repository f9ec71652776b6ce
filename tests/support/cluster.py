"""What the three NATS servers of a cluster in containers say of their streams."""

import json

from support.compose import Compose

SERVERS = ("nats-1", "nats-2", "nats-3")
STREAMS = {"TELEMETRY", "LATEST", "DEADLETTER"}


def streams(up: Compose, server: str) -> dict[str, dict]:
    """What a server says of the streams it has: its leader, and which copies are current."""
    url = "http://127.0.0.1:8222/jsz?accounts=true&streams=true"
    found = json.loads(up.compose("exec", "-T", server, "wget", "-q", "-O", "-", url))
    return {stream["name"]: stream["cluster"] for stream in found["account_details"][0]["stream_detail"]}


def leader(up: Compose) -> str:
    """The server that leads the journal."""
    return streams(up, SERVERS[0])["TELEMETRY"]["leader"]


def whole(up: Compose) -> bool:
    """Whether every stream has a leader that says that both other copies are current."""
    views = {server: streams(up, server) for server in SERVERS}
    leaders = {name: cluster.get("leader") for name, cluster in views[SERVERS[0]].items()}
    return set(leaders) == STREAMS and all(
        first and sum(copy["current"] for copy in views[first].get(name, {}).get("replicas", [])) == 2
        for name, first in leaders.items()
    )
