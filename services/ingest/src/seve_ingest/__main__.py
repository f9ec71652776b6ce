"""The command `seve-ingest`: runs the service; `explain`, `deadletter` and `tap` are for people."""

import argparse
import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import nats.errors
from paho.mqtt import MQTTException
from seve_runtime.clock import micros
from seve_runtime.errors import SettingsError, describe
from seve_runtime.nats.connection import NatsSettings, tls_options
from seve_runtime.service import check, load_or_exit, parser, report_faults, run

from seve_ingest.app import app
from seve_ingest.deadletters import command
from seve_ingest.factory import normaliser, route_table, run_route_tests, with_routes_file
from seve_ingest.mqtt import connect
from seve_ingest.normalise.explain import explain
from seve_ingest.settings import BrokerSettings, RuleSettings, Settings
from seve_ingest.tap import command as tap

USES: Final[dict[type[Any], Callable[[Any], object]]] = {
    RuleSettings: run_route_tests,
    BrokerSettings: connect.tls,
    NatsSettings: tls_options,
}
"""The checks of `--check`, by group of settings."""


def main() -> int:
    """Run the service or one of its tools; return the exit code."""
    options = _parser().parse_args()
    if options.check:
        return check(Settings, USES)
    if options.command is None:
        settings = load_or_exit(Settings)
        return run("seve-ingest", settings.service, lambda stop: app(settings, stop))
    try:
        return {"explain": _explain, "deadletter": _deadletter, "tap": _tap}[options.command](options)
    except SettingsError as error:
        report_faults(error)


def _parser() -> argparse.ArgumentParser:
    whole = parser("seve-ingest", "MQTT to JetStream: every message normalised into one counted outcome.", Settings)
    commands = whole.add_subparsers(dest="command", metavar="explain|deadletter|tap")
    sub = commands.add_parser("explain", help="say what would become of a message, or check a file of routes")
    sub.add_argument("topic", nargs="?")
    sub.add_argument("payload", nargs="?", help="the payload; @FILE reads it from a file, @- from standard input")
    sub.add_argument("--retained", action="store_true", help="as a retained message")
    sub.add_argument("--routes", metavar="FILE", help="try this TOML file of routes instead of ROUTES_FILE's")
    sub.add_argument("--test", action="store_true", help="run the tests of the file of routes")
    command.arguments(commands)
    tap.arguments(commands)
    return whole


def _explain(options: argparse.Namespace) -> int:
    settings = load_or_exit(RuleSettings)
    if options.routes:
        settings = with_routes_file(settings, options.routes)
    if options.test:
        print(f"{run_route_tests(settings)} tests of routes passed")
        return 0
    if options.topic is None:
        for origin, route in route_table(settings):
            print(f"{origin:<12} {route.topic:<40} {route.kind}")
        return 0
    rules = normaliser(settings)
    payload = _payload(options.payload or "")
    topic = options.topic.encode(errors="surrogateescape")
    now = micros()
    print(explain(rules, topic, payload, received_at=now, retained=options.retained))
    return 1 if rules(topic, payload, received_at=now, retained=options.retained).rejection else 0


def _payload(text: str) -> bytes:
    if text == "@-":
        return sys.stdin.buffer.read()
    return Path(text[1:]).read_bytes() if text.startswith("@") else os.fsencode(text)


def _deadletter(options: argparse.Namespace) -> int:
    settings = load_or_exit(Settings)
    try:
        return asyncio.run(command.run(options, settings.nats, normaliser(settings.rules), print))
    except (nats.errors.Error, OSError) as error:
        print(f"NATS does not answer (NATS_URL): {describe(error)}", file=sys.stderr)
        return 1


def _tap(options: argparse.Namespace) -> int:
    settings = load_or_exit(Settings)
    try:
        tap.run(options, settings, lambda line: print(line, flush=True))
    except (nats.errors.Error, MQTTException, OSError) as error:
        asked = (
            "the broker does not let us in (MQTT_BROKER)" if options.at == "mqtt" else "NATS does not answer (NATS_URL)"
        )
        print(f"{asked}: {describe(error)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
