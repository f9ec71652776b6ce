"""`up` in containers: checks settings, builds images, starts containers and waits for them; ends with all addresses."""

import subprocess
import time
from collections.abc import Mapping
from typing import Final

from seve_embedded.shared import welcome
from seve_embedded.shared.links import links
from seve_runtime.units import reachable, split_listen

from seve_docker import images, room
from seve_docker.compose import Compose, Container
from seve_docker.errors import CommandFailed
from seve_docker.prepare import OWN, BadSettings

CHECKED: Final = ("ingest", "writer", "history", "broadcaster")
RESTARTS_SECONDS: Final = 45
"""Seconds after which `up` gives up on a container that keeps restarting."""

ADDRESSES: Final = ("hostname", "-I")
"""A command that prints the addresses of this machine."""


def up(compose: Compose, patience: float) -> None:
    """Start everything and wait at most `patience` seconds. Raises BadSettings, and CommandFailed for anything else."""
    images.choose(compose)
    own = compose.environ.get("COMPOSE_PROFILES")
    compose.environ["COMPOSE_PROFILES"] = ",".join([*([own] if own else []), *images.choose_observability(compose)])
    print("Building (the first time takes a minute)", flush=True)
    images.build(compose)
    check_services(compose)
    _check_room(compose)
    try:
        code = make_roles(compose, patience) or compose.call("up", "-d", "--remove-orphans", seconds=patience)
    except subprocess.TimeoutExpired:
        code = 1
    if code:
        _show_logs(compose)
        compose.call("ps", "-a")
        raise CommandFailed(f"the containers could not be started within {patience:g} s (START_TIMEOUT)")
    wait_healthy(compose, patience)


def make_roles(compose: Compose, patience: float) -> int:
    """Start the database and apply its roles, also to a database that was created before them; return the exit code."""
    script = "/docker-entrypoint-initdb.d/10-roles.sh"
    started = compose.call("up", "-d", "--wait", "postgres", seconds=patience)
    return started or compose.call("exec", "-T", "postgres", "sh", script, seconds=patience)


def check_services(compose: Compose) -> None:
    """Have every service check its settings and the files that they name. Raises BadSettings with all faults."""

    def ask(service: str) -> list[str]:
        done = compose.ask("run", "--rm", "--no-deps", "-T", service, "--check")
        lines = [line.removeprefix("setting ") for line in done.stderr.splitlines() if line.startswith("setting ")]
        if done.returncode and not lines:
            raise CommandFailed(f"the settings of {service} could not be checked:\n{done.stderr.strip()}")
        return lines

    # One at a time: the first creates the project's networks, which several would create under the same name.
    faults = [fault for service in CHECKED for fault in ask(service)]
    if faults:
        raise BadSettings(list(dict.fromkeys(faults)))


def _check_room(compose: Compose) -> None:
    """Warn if a disk is too small for the streams' largest size."""
    disks = room.disks(compose)
    if not disks:
        print("  the disk of NATS could not be measured", flush=True)
    for one in disks:
        if warning := one.room.warning(one.growth):
            print(f"  warning: {warning}", flush=True)


def wait_healthy(compose: Compose, patience: float) -> None:
    """Wait until every container is healthy, and show which are not yet. Raises CommandFailed."""
    began, said = time.monotonic(), ""
    while late := sorted({_described(one) for one in compose.states() if not one.settled}):
        waiting = " ".join(late)
        if waiting != said:
            print(f"  waiting for {waiting}", flush=True)
        said, passed = waiting, time.monotonic() - began
        if passed > patience or ("restarting" in waiting and passed > RESTARTS_SECONDS):
            _show_logs(compose)
            raise CommandFailed(f"not ready after {passed:.0f} s (START_TIMEOUT is {patience:g} s): {waiting}")
        time.sleep(1)


def page(compose: Compose) -> str:
    """Return the page that `up` prints at its end."""
    environ, found = compose.environ, links(compose.environ, compose.root)
    mqtt_host, mqtt_port = split_listen(environ["MQTT_LISTEN"])
    ws_host, ws_port = split_listen(environ["WS_LISTEN"])
    mqtt, web = f"{environ['MQTT_SCHEME']}://{reachable(mqtt_host)}:{mqtt_port}", f"{reachable(ws_host)}:{ws_port}"
    rows = {
        "MQTT": mqtt,
        "WebSocket": f"{environ['WS_SCHEME']}://{web}/ws",
        "Screen": f"{'https' if found.ws else 'http'}://{web}/",
        "Database": f"{welcome.COMMAND} psql",
        **_looking_on(environ),
    }
    username = environ.get("MQTT_USERNAME") or None
    own = environ.get("MQTT_DEVICES") == OWN
    ca = str(found.mqtt_ca) if found.mqtt_ca else None
    return welcome.text(
        rows, mqtt=mqtt, listen=environ["MQTT_LISTEN"], username=username, own=own, networks=networks(), ca=ca
    )


def _looking_on(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the addresses of Prometheus and Grafana, if they run."""
    places = {
        "Grafana": f"http://127.0.0.1:{environ.get('GRAFANA_PORT') or 3000}/",
        "Prometheus": f"http://127.0.0.1:{environ.get('PROMETHEUS_PORT') or 9090}/alerts",
    }
    profiles = environ.get("COMPOSE_PROFILES", "").split(",")
    return {name: url for name, url in places.items() if name.lower() in profiles}


def _described(one: Container) -> str:
    health = f", {one.health}" if one.health else ""
    return f"{one.service} ({one.state}{health})"


def _show_logs(compose: Compose) -> None:
    compose.call("logs", "--no-color", "--tail", "15")


def networks() -> list[str]:
    """Return this machine's first address besides loopback; nothing if it cannot be found."""
    try:
        done = subprocess.run(ADDRESSES, check=False, capture_output=True, text=True)
    except OSError:
        return []
    return done.stdout.split()[:1]
