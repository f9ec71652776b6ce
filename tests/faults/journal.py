"""What the journal carried, read from its copy: HISTORY keeps every message with the journal's sequence in a header."""

from contextlib import asynccontextmanager
from typing import NamedTuple

from faults.verdict import Carried
from nats.aio.client import Client
from nats.js.api import ConsumerConfig, DeliverPolicy
from seve_schema.codec import decode_envelopes
from seve_schema.position import Position, Token
from seve_schema.times import parse_time, to_micros


class Ends(NamedTuple):
    """The last sequences of HISTORY and of the dead letters."""

    history: int
    dead_letters: int


@asynccontextmanager
async def jetstream(stack):
    client = Client()
    await client.connect(stack.nats_url)
    try:
        yield client.jetstream()
    finally:
        await client.close()


async def ends(stack) -> Ends:
    """How far they go now."""
    async with jetstream(stack) as js:
        names = ("HISTORY", "DEADLETTER")
        return Ends(*[(await js.stream_info(name)).state.last_seq for name in names])


async def carried(stack, since: Ends) -> list[Carried]:
    """Every envelope since then, in the journal's order."""
    async with jetstream(stack) as js:
        journal = to_micros((await js.stream_info("TELEMETRY")).created)
        last = (await js.stream_info("HISTORY")).state.last_seq
        found, first = [], since.history + 1
        if last < first:
            return found
        where = {"deliver_policy": DeliverPolicy.BY_START_SEQUENCE, "opt_start_seq": first}
        config = ConsumerConfig(**where)
        subscription = await js.subscribe("live.>", stream="HISTORY", ordered_consumer=True, config=config)
        for _ in range(first, last + 1):
            message = await subscription.next_msg(timeout=10)
            position = Position(journal, int(message.headers["Nats-Sequence"]))
            found += [_one(Token(position, n), envelope) for n, envelope in enumerate(decode_envelopes(message.data))]
        return found


def _one(token: Token, envelope) -> Carried:
    sample = envelope.kind == "measurement"
    key = (envelope.topic, to_micros(parse_time(envelope.time))) if sample else None
    return Carried(token, key, envelope.module_id, envelope.kind, envelope.delivery_key)
