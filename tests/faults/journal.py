"""What the journal carried, read from its copy: HISTORY keeps every message with the journal's sequence in a header."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import NamedTuple

from faults.verdict import Carried
from nats.aio.client import Client
from nats.js.api import ConsumerConfig, DeliverPolicy
from seve_schema.codec import decode_envelopes
from seve_schema.position import Position, Token
from seve_schema.times import parse_time, to_micros
from support.conditions import wait_until


class Ends(NamedTuple):
    """The last sequences of HISTORY and of the dead letters."""

    history: int
    dead_letters: int


@asynccontextmanager
async def connected(stack):
    client = Client()
    await client.connect(stack.nats_url)
    try:
        yield client
    finally:
        await client.close()


async def ends(stack) -> Ends:
    """How far they go now."""
    async with connected(stack) as client:
        js = client.jetstream()
        names = ("HISTORY", "DEADLETTER")
        return Ends(*[(await js.stream_info(name)).state.last_seq for name in names])


async def carried(stack, since: Ends) -> list[Carried]:
    """Every envelope since then, in the journal's order."""
    async with connected(stack) as client:
        js = client.jetstream()
        journal = to_micros((await js.stream_info("TELEMETRY")).created)
        last = (await js.stream_info("HISTORY")).state.last_seq
        found, first = [], since.history + 1
        if last < first:
            return found
        where = {"deliver_policy": DeliverPolicy.BY_START_SEQUENCE, "opt_start_seq": first}
        config = ConsumerConfig(**where)
        subscription = await js.subscribe("live.>", stream="HISTORY", ordered_consumer=True, config=config)
        for _ in range(first, last + 1):
            found += _all(journal, await subscription.next_msg(timeout=10))
        return found


@contextmanager
def heard(stack) -> Iterator[list[Carried]]:
    """Every envelope while the context lasts, as the live subjects tell it: for where HISTORY keeps too little, and
    NATS stays up.
    """
    found, ready, over = [], threading.Event(), threading.Event()

    async def listen():
        async with connected(stack) as client:
            journal = to_micros((await client.jetstream().stream_info("TELEMETRY")).created)

            async def take(message):
                found.extend(_all(journal, message))

            await client.subscribe("live.>", cb=take)
            await client.flush()
            ready.set()
            await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=asyncio.run, args=(listen(),), name="heard")
    thread.start()
    try:
        wait_until(lambda: ready.is_set() or not thread.is_alive(), "a subscription")
        yield found
    finally:
        over.set()
        thread.join()


def _all(journal: int, message) -> list[Carried]:
    position = Position(journal, int(message.headers["Nats-Sequence"]))
    return [_one(Token(position, place), envelope) for place, envelope in enumerate(decode_envelopes(message.data))]


def _one(token: Token, envelope) -> Carried:
    sample = envelope.kind == "measurement"
    key = (envelope.topic, to_micros(parse_time(envelope.time))) if sample else None
    return Carried(token, key, envelope.module_id, envelope.kind, envelope.delivery_key)
