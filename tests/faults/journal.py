"""The envelopes that the journal carried, read from the journal itself, which keeps stored messages as history."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import NamedTuple

from faults.verdict import Carried
from nats.js.api import DeliverPolicy
from seve_runtime.nats.direct import DirectClient
from seve_runtime.nats.pull import parse_ack_subject
from seve_runtime.nats.stream_reader import reading
from seve_schema.codec import decode_envelopes
from seve_schema.position import Position, Token
from seve_schema.times import parse_time, to_micros
from support.conditions import wait_until


class Ends(NamedTuple):
    """The last sequences of the journal and of the dead letters."""

    journal: int
    dead_letters: int


@asynccontextmanager
async def connected(stack):
    client = DirectClient()
    await client.connect(stack.nats_url)
    try:
        yield client
    finally:
        await client.close()


async def ends(stack) -> Ends:
    """How far they go now."""
    async with connected(stack) as client:
        js = client.jetstream()
        names = ("TELEMETRY", "DEADLETTER")
        return Ends(*[(await js.stream_info(name)).state.last_seq for name in names])


async def carried(stack, since: Ends) -> list[Carried]:
    """Every envelope since then, in the journal's order."""
    async with connected(stack) as client:
        journal = await created(client)
        found = []
        async with reading(client, "TELEMETRY", start=since.journal + 1) as stored:
            while chunk := await stored.chunk():
                for message in chunk:
                    found += _all(Position(journal, message.sequence), message.data)
        return found


@contextmanager
def heard(stack) -> Iterator[list[Carried]]:
    """Every envelope while the context lasts, as it comes: for a journal that keeps little history, while NATS stays
    up.
    """
    found, ready, over = [], threading.Event(), threading.Event()

    async def listen():
        async with connected(stack) as client:
            journal = await created(client)

            async def take(message):
                position = Position(journal, parse_ack_subject(message.reply).sequence)
                found.extend(_all(position, message.data))

            js = client.jetstream()
            await js.subscribe(
                "telemetry.>", stream="TELEMETRY", ordered_consumer=True, deliver_policy=DeliverPolicy.NEW, cb=take
            )
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


async def created(client) -> int:
    """When the journal was created, microseconds since 1970."""
    return to_micros((await client.jetstream().stream_info("TELEMETRY")).created)


def _all(position: Position, data: bytes) -> list[Carried]:
    return [_one(Token(position, place), envelope) for place, envelope in enumerate(decode_envelopes(data))]


def _one(token: Token, envelope) -> Carried:
    if envelope.kind == "measurement":
        return Carried(token, (envelope.topic, to_micros(parse_time(envelope.time))), envelope.delivery_key)
    if envelope.retained:  # it may come under the packet identifier that the message itself once had
        return Carried(token, None, None)
    return Carried(token, None, envelope.delivery_key, envelope.topic)
