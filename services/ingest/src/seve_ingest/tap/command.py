"""The command `seve-ingest tap`: shows live messages until interrupted. Publishes and acknowledges nothing.

At the broker it is a separate client with a clean session, at QoS 0: the broker keeps no messages for it, and ingest's
session is not affected. In NATS it only reads, with any user that may; the user `observer` has no other rights.
"""

import argparse
import asyncio
import logging
import os
from collections.abc import Callable
from contextlib import aclosing
from typing import Any, Final

from paho.mqtt import subscribe
from seve_runtime import tap
from seve_runtime.clock import micros
from seve_runtime.nats.connection import connected_once
from seve_runtime.nats.follow import follow
from seve_runtime.nats.topology import DEADLETTER, JOURNAL

from seve_ingest.factory import normaliser
from seve_ingest.mqtt import connect
from seve_ingest.settings import Settings
from seve_ingest.tap import lines

PLACES: Final = ("mqtt", "journal", "dead")


def arguments(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `tap` to a parser."""
    tap.arguments(commands.add_parser("tap", help="show live messages, and what ingest reads in them"), PLACES)


def run(options: argparse.Namespace, settings: Settings, say: Callable[[str], None]) -> None:
    """Show messages until interrupted, or until as many as were asked for. Raises OSError, NatsError, SettingsError."""
    screen = tap.Printer(options, say)
    modules = frozenset(options.module)
    try:
        if options.at == "mqtt":
            _mqtt(settings, screen, modules)
        else:
            asyncio.run(_nats(settings, screen, modules, dead=options.at == "dead"))
    except (tap.Enough, KeyboardInterrupt):
        return


def _mqtt(settings: Settings, screen: tap.Printer, modules: frozenset[str]) -> None:
    rules = normaliser(settings.rules)
    broker = settings.broker
    host, port = connect.address(broker)

    def arrived(client: Any, _data: Any, message: Any) -> None:
        if message.retain:  # an old message: to a subscriber, the broker sends a live one without this flag
            return
        if lines.concerns(rules, message.topic, modules) and screen.room():
            try:
                screen.show(lines.of_mqtt(rules, message.topic, message.payload, now=micros()))
            except tap.Enough:
                client.disconnect()

    logging.getLogger("paho").setLevel(logging.CRITICAL)  # it logs its own disconnect as an error; faults are raised
    subscribe.callback(  # type: ignore[no-untyped-call]  # paho does not type it
        arrived,
        list(broker.mqtt_topics),
        hostname=host,
        port=port,
        client_id=f"seve-tap-{os.getpid()}",
        auth=_login(settings),
        tls=connect.tls(broker),
    )


def _login(settings: Settings) -> Any:
    broker = settings.broker
    if not broker.mqtt_username:
        return None
    return {"username": broker.mqtt_username, "password": broker.mqtt_password and broker.mqtt_password.reveal()}


async def _nats(settings: Settings, screen: tap.Printer, modules: frozenset[str], *, dead: bool) -> None:
    async with (
        connected_once(settings.nats, "seve-ingest tap") as client,
        aclosing(follow(client, DEADLETTER if dead else JOURNAL)) as looks,
    ):
        async for news in looks:
            screen.missed(news.passed_over)
            for message in news.messages:
                for block in (lines.of_dead if dead else lines.of_journal)(message, modules):
                    if screen.room():
                        screen.show(block)
